package floor

// Sizes on the average, in bytes, as seen in a running system with prescriptions of
// one item.
const (
	gmSigned     = 1280 // submissions and values 1,100, transactions 1,550
	gmVerified   = 1150 // checkpoints 120, few of them, and those above
	intlSigned   = 1650 // submissions and values 1,380, transactions 2,140
	intlVerified = 1650
	sealed       = 560 // with salt and context: a registration's 1,150, a delivery's 260
)

// Blocks of 64 bytes outside the operations of keys, for a step and for a block of
// either chain, as TestCounts sees with -hashes.
const (
	gmSM3       = 185  // commitments, contexts, pseudonyms
	gmSHA256    = 1330 // transactions, records, leaves and keys of the state, by both chains and both halves
	intlSHA256  = 1850 // those of SM3 besides, and larger messages
	blockSHA256 = 195  // header, parts and votes
)
