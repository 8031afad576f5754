package contract

// Waiting says whether at now, Unix seconds, something is due that a block would
// bring about: a held submission's deadline has passed, or a bundle's time has
// come. The error is a failure of the storage.
func Waiting(s State, now int64) (bool, error) {
	scheduled, err := ScheduledBundles(s)
	if err != nil {
		return false, err
	}
	for _, d := range scheduled {
		if d.Time != 0 && now >= d.Time {
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
