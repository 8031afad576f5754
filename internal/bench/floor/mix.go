package floor

import "fmt"

// Steps are a flow's: registration, review request, review result, order,
// settlement, delivery.
const Steps = 6

// What a flow of six steps costs, as the package's comment lists it. TestCounts
// counts them in a running system.
const (
	flowSign   = 17
	flowVerify = 16
	flowWrap   = 12
	flowUnwrap = 11
	flowReader = 1 // checkpoints that a producer verifies
)

// verifiers of a checkpoint, each once: the platform and the business chain.
const verifiers = 2

// What a block costs, with one validator.
const (
	blockVoteSign   = 4 // proposal, prevote, precommit, and the precommit's extension, which is empty
	blockVoteVerify = 4 // the first three again, and the precommit in the block after
)

// Of is the mix of a step in a suite, "gm" or "intl", where so many blocks of both
// chains together, and so many checkpoints, fall to one step. A block of the
// supervision chain that decides something has a checkpoint. How many steps share a
// block is the load's matter, so who measures counts them.
func Of(suite string, blocks, checkpoints float64) (Mix, error) {
	heads := flowReader/float64(Steps) + verifiers*checkpoints
	m := Mix{
		Sign:       flowSign / float64(Steps),
		Verify:     flowVerify / float64(Steps),
		Wrap:       flowWrap / float64(Steps),
		Unwrap:     flowUnwrap / float64(Steps),
		Encrypt:    flowWrap / float64(Steps), // each message is for one reader
		Decrypt:    flowUnwrap / float64(Steps),
		LogSign:    checkpoints,
		LogVerify:  heads,
		VoteSign:   blockVoteSign * blocks,
		VoteVerify: blockVoteVerify * blocks,
		Sealed:     sealed,
	}
	switch suite {
	case "gm": // whose checkpoints have a line of SM2 besides
		m.Sign += checkpoints
		m.Verify += heads
		m.Signed, m.Verified = gmSigned, gmVerified
		m.SM3, m.SHA256 = gmSM3, gmSHA256+blockSHA256*blocks
	case "intl":
		m.Signed, m.Verified = intlSigned, intlVerified
		m.SHA256 = intlSHA256 + blockSHA256*blocks
	default:
		return Mix{}, fmt.Errorf("suite %.16q: want gm or intl", suite)
	}
	return m, nil
}
