package comet

import (
	"context"
	"crypto/ed25519"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"
)

// ExtendVote adds the application's own to this node's vote.
func (a *abciApp) ExtendVote(context.Context, *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	x, ok := a.app.(Extender)
	if !ok {
		return &abci.ResponseExtendVote{}, nil
	}
	return &abci.ResponseExtendVote{VoteExtension: x.Extend()}, nil
}

// VerifyVoteExtension judges another validator's. Nothing is always good: who adds
// nothing has a vote all the same.
func (a *abciApp) VerifyVoteExtension(_ context.Context, r *abci.RequestVerifyVoteExtension) (*abci.ResponseVerifyVoteExtension, error) {
	status := abci.ResponseVerifyVoteExtension_ACCEPT
	if len(r.VoteExtension) > 0 {
		x, ok := a.app.(Extender)
		if !ok || x.CheckExtension(Extension{Address: r.ValidatorAddress, Data: r.VoteExtension}) != nil {
			status = abci.ResponseVerifyVoteExtension_REJECT
		}
	}
	return &abci.ResponseVerifyVoteExtension{Status: status}, nil
}

// carried reads what the votes of a final block carried, as this node has seen them.
func (n *Node) carried(height int64) []Extension {
	if !n.cfg.Extensions || n.inner == nil { // inner: blocks are being executed again at the start
		return nil
	}
	all, err := n.extensions(height)
	if err != nil {
		n.cfg.Logger.Warn("reading what votes carried", "height", height, "error", err)
	}
	return all
}

func (n *Node) extensions(height int64) (all []Extension, err error) {
	defer recovered(&err, fmt.Sprintf("votes on block %d", height))
	commit := n.inner.BlockStore().LoadBlockExtendedCommit(height)
	if commit == nil {
		return nil, nil // fetched from another node, with its votes alone
	}
	for _, s := range commit.ExtendedSignatures {
		if s.BlockIDFlag == types.BlockIDFlagCommit && len(s.Extension) > 0 {
			all = append(all, Extension{Address: s.ValidatorAddress, Data: s.Extension})
		}
	}
	return all, nil
}

// VoteKey reads the key that a node votes with, for signing besides what can't be
// taken for a vote. A node that has none yet gets one, as MakeKeys does.
func VoteKey(dir string) (ed25519.PrivateKey, error) {
	if _, err := MakeKeys(dir); err != nil {
		return nil, err
	}
	key, err := validator(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the key that the node votes with: %w", err)
	}
	return ed25519.PrivateKey(key.Key.PrivKey.Bytes()), nil
}
