package comet

import (
	"errors"
	"fmt"
	"os"

	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
)

// validator loads the node's validator key, or draws one for a new directory.
// CometBFT's own loader ends the process on a missing file, and would draw a
// second key for an old chain, which could then never make a block again.
func validator(dir string) (*privval.FilePV, error) {
	key, vote, begun := exists(keyFile(dir)), exists(voteFile(dir)), exists(dataDir(dir)+"/state.db/CURRENT")
	switch {
	case key && vote:
		return privval.LoadFilePV(keyFile(dir), voteFile(dir)), nil
	case !begun:
		pv := privval.GenFilePV(keyFile(dir), voteFile(dir))
		pv.LastSignState.Save() // before the key, so that a key never stands alone after a crash
		pv.Key.Save()
		return pv, nil
	case !key:
		return nil, fmt.Errorf("validator key %s is missing: without it this chain makes no blocks; restore it from a backup", keyFile(dir))
	default:
		return nil, fmt.Errorf("validator state %s is missing: without it this node could sign two blocks of one height; restore the whole directory from one backup", voteFile(dir))
	}
}

// nodeKey loads or draws the key that names the node to its peers.
func nodeKey(dir string) (*p2p.NodeKey, error) {
	k, err := p2p.LoadOrGenNodeKey(peerFile(dir))
	if err != nil {
		return nil, fmt.Errorf("reading node key: %w", err)
	}
	return k, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, os.ErrNotExist)
}
