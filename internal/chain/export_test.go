package chain

// Keys of the database, for tests that tamper with it.
var (
	LeafKey       = leafKey
	HashKey       = hashKey
	CheckpointKey = checkpointKey
)
