package contract

// Waiting says whether, after the block at height and at now, Unix seconds,
// something is due that another block would bring about: a held submission's
// deadline has passed, or a bundle takes force. The error is a failure of the storage.
func Waiting(s State, height, now int64) (bool, error) {
	scheduled, err := ScheduledBundles(s)
	if err != nil {
		return false, err
	}
	for _, d := range scheduled {
		if d.due(height+1, now) {
			return true, nil
		}
	}
	var count holdCount
	if ok, err := load(s, holdsKey(), &count); err != nil || !ok || count.First > count.Last {
		return false, err
	}
	tx, ok, err := HoldNumber(s, count.First)
	if err != nil || !ok {
		return false, err
	}
	h, ok, err := HoldOf(s, tx)
	if err != nil || !ok {
		return false, err
	}
	// One that is resolved already lets the next block pass over it.
	return now >= h.Deadline, nil
}
