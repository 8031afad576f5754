package requirements

// Sections is the whole table, in order.
func Sections() []Section {
	return []Section{
		registration(), review(), order(), settlement(), delivery(),
		rules(), admission(), chains(), console(), growth(),
	}
}

func registration() Section {
	return Section{ID: "R1", Title: "Registration and authorisation", Source: "c1, c5, c6, s101, s301 to s303, e4 (outflow of prescriptions)", Rows: []Row{
		{ID: "R1.1", State: Done, Text: "A platform takes in a record from an originator's system or from a business chain, and can mask (脱敏) the fields that its operator names before anything is sealed."},
		{ID: "R1.2", State: Done, Text: "The record travels as a value sealed to the supervision chain's public key. It belongs to a key that stands for the subject; in the source that is SHA-256 of the national id number."},
		{ID: "R1.3", State: Done, Text: "Key and value go to one fusion node: the one that corresponds to this platform and this kind of business."},
		{ID: "R1.4", State: Done, Text: "Only the supervision side opens the value, with its private key. Authorising it makes a transaction whose hash is the authorisation; hash and record are kept on the supervision chain under the subject's key."},
		{ID: "R1.5", State: Done, Text: "The platform gets the hash from the fusion node, seals the record with a key of its own, and stores it on the business chain under that hash."},
		{ID: "R1.6", State: Done, Text: "The hash names the flow on both chains for its whole life. An application may keep it, and can get it back from the supervision chain if it doesn't."},
		{ID: "R1.7", State: Done, Text: "A record without authorisation never stands on the business chain. **+** The business chain sees to that itself: it refuses what comes without a valid receipt."},
	}}
}

func review() Section {
	return Section{ID: "R2", Title: "Review", Source: "c2, c3, s304 to s307, e4 (review of prescriptions)", Rows: []Row{
		{ID: "R2.1", State: Done, Text: "Reviewers enrol on the supervision chain before their first review: the authority checks who they are, activates them, and they have an id there."},
		{ID: "R2.2", State: Done, Text: "To review a record, a reviewer's request for a token, naming flow and reviewer, goes through the fusion node; the verification contract checks it against lists and rules and answers."},
		{ID: "R2.3", State: Done, Text: "The token is the lower-hex SHA-256 of date, flow and the word `pres`, written one after the other (date as `YYYY-MM-DD`, flow in lower hex), and the platform computes it again to check it. **+** Whoever knows the flow can compute it, so it counts only with the receipt that proves it was issued."},
		{ID: "R2.4", State: Done, Text: "With a true token the platform takes the record out of the pool that awaits review (待审阅池), opens it, and shows it to that one reviewer."},
		{ID: "R2.5", State: Done, Text: "A result says what the reviewer concluded, who that was, when, and why."},
		{ID: "R2.6", State: Done, Text: "The result is sealed to the supervision chain, pushed, opened and confirmed there, and kept under the subject's key; the confirmation has a transaction hash of its own."},
		{ID: "R2.7", State: Done, Text: "The platform gets that hash, seals the result with its own key, and stores both on the business chain. A rejection ends the flow."},
	}}
}

func order() Section {
	return Section{ID: "R3", Title: "Order audit", Source: "c4, s308, e4 (making of orders)", Rows: []Row{
		{ID: "R3.1", State: Done, Text: "A subject chooses one of their approved records and orders from a producer."},
		{ID: "R3.2", State: Done, Text: "The verification contract holds the order against restricted subjects, restricted pairs of subject and item, restricted pairs of producer and subject, restricted reviewers, the list of abnormal transactions, the standing of the institutions, and the rule contract in force."},
		{ID: "R3.3", State: Done, Text: "A granted order carries a token made like that of R2.3, with the word `order`. A refused one stops there, with reasons in words that people understand."},
		{ID: "R3.4", State: Done, Text: "Without a true token the platform does not go on."},
	}}
}

func settlement() Section {
	return Section{ID: "R4", Title: "Settlement", Source: "c7, s309 to s311, e4 (dispensing and settlement)", Rows: []Row{
		{ID: "R4.1", State: Done, Text: "Once the order's token is found true, the order is sealed to its producer, stored on the business chain, and the producer is told."},
		{ID: "R4.2", State: Done, Text: "The producer asks for the order, fetches it from the business chain and opens it with a private key that only this producer has, so that none can take another's orders."},
		{ID: "R4.3", State: Done, Text: "The producer makes the order up, works out amounts by the reimbursement ratio of each item, and makes a payment link for the subject."},
		{ID: "R4.4", State: Done, Text: "The subject's payment makes the settlement."},
		{ID: "R4.5", State: Done, Text: "The settlement is sealed to the supervision chain and kept there under the subject's key; the storage has a transaction hash."},
		{ID: "R4.6", State: Done, Text: "The settlement, sealed to the business chain's key, is stored on the business chain with that hash."},
	}}
}

func delivery() Section {
	return Section{ID: "R5", Title: "Delivery", Source: "e4 (delivery of medicines)", Rows: []Row{
		{ID: "R5", State: Done, Text: "The subject fetches the goods or a courier brings them; that completes the flow."},
	}}
}

func rules() Section {
	return Section{ID: "R6", Title: "Rules and lists", Source: "c4, e4", Rows: []Row{
		{ID: "R6.1", State: Done, Text: "The authority publishes rule contracts anew while everything runs: no restart, no upgrade of a business chain. Each has an address and a version, applications keep track of both, and a decision names those that made it."},
		{ID: "R6.2", State: Partial, Note: "officers' orders change lists for the very next decision; the console is to come", Text: "The authority changes lists from its console at any moment, and the next decision goes by the change."},
		{ID: "R6.3", State: Done, Text: "Institutions on the allow list (白名单) are authorised in full; for those on the deny list (黑名单) an officer decides every step; all others use batch grants (批量授权码), which serve many submissions within their time."},
		{ID: "R6.4", State: Done, Text: "**+** A new version can be tried on flows of the past, and can run beside the one in force without effect, before it takes over."},
	}}
}

func admission() Section {
	return Section{ID: "R7", Title: "Admission and identity", Source: "e2", Rows: []Row{
		{ID: "R7.1", State: Done, Text: "Whoever reaches the supervision chain or submits to it has an identity with a certificate that the authority signed. To suspend or revoke one takes effect at once."},
		{ID: "R7.2", State: Done, Text: "The two chains share nothing: not network, not keys, not storage. The fusion node is their one meeting point."},
		{ID: "R7.3", State: Done, Text: "Each private key stays with its owner, and the authority has none but its own. There is no central store of keys."},
	}}
}

func chains() Section {
	return Section{ID: "R8", Title: "Chains and cryptography", Source: "e2, e4", Rows: []Row{
		{ID: "R8.1", State: Done, Text: "The supervision chain is a consortium chain on SM2 cryptography. A committee that rotates agrees on blocks (the source names rPBFT, and FISCO BCOS as a chain that has it), and only the authority's nodes produce them."},
		{ID: "R8.2", State: Partial, Note: "the port and an embedded chain; Ethereum, Fabric and FISCO BCOS are to come", Text: "The business chain may be any of several kinds (the source names Ethereum, FISCO BCOS and Fabric). Its data structures, consensus, encryption, production of blocks and access control are its own affair and can be configured."},
		{ID: "R8.3", State: Done, Text: "There are two suites of algorithms: SM2, SM3 and SM4; RSA, SHA-256 and AES."},
		{ID: "R8.4", State: Done, Text: "Supervision chain, platform, business chain and each producer have key pairs of their own, private and separate."},
	}}
}

func console() Section {
	return Section{ID: "R9", Title: "The authority's console", Source: "e2, e4", Rows: []Row{
		{ID: "R9.1", State: Open, Text: "Flows show while they happen, gathered from the supervision chain as it grows."},
		{ID: "R9.2", State: Partial, Note: "by officers' orders on the command line; the console is to come", Text: "Rules and lists are set there and act at once."},
		{ID: "R9.3", State: Open, Text: "It has statistics."},
		{ID: "R9.4", State: Open, Text: "Each subject, producer and reviewer has a profile there."},
		{ID: "R9.5", State: Open, Text: "Any flow can be traced to find a fault."},
		{ID: "R9.6", State: Partial, Note: "holds, freezes, stops and suspensions by officers' orders on the command line; the console is to come", Text: "Officers step in while things happen (事中干预): they decide holds (挂起), freeze a flow, suspend an institution."},
	}}
}

func growth() Section {
	return Section{ID: "R10", Title: "Growth and speed", Source: "technical effects, figure 6, c1 to c8", Rows: []Row{
		{ID: "R10.1", State: Partial, Note: "blocks are pruned and decisions forgotten once archived; ids of submissions and records' numbers stay on the node", Text: "Supervision data moves to an archive from time to time, so that the chain stays bounded; what moved can still be proven."},
		{ID: "R10.2", State: Open, Text: "Supervision is not the bottleneck: to avoid the one a central regulator would be is the point of the source."},
		{ID: "R10.3", State: Open, Text: "Browsers on phones, tablets and computers are the terminals."},
		{ID: "R10.4", State: Partial, Note: "kinds of business are profiles; prescription is the only one", Text: "Any kind of business can flow this way; prescriptions are one profile."},
	}}
}
