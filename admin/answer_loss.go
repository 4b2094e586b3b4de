package admin

// LossCost is what giving up a journal may cost.
type LossCost struct {
	JournalStatus
	// Partitions may lose what isn't in the tier and no live member has.
	Partitions int      `json:"partitions"`
	Topics     []string `json:"topics"` // the first of them
	// TopicsTotal counts those that are not listed as well.
	TopicsTotal int `json:"topics_total"`
	// Kept is what live members have and the bucket lacks: it stays. What may be lost was
	// written after that; how much it was is not known.
	KeptEntries  uint64 `json:"kept_entries"`
	KeptRecords  int64  `json:"kept_records"`
	KeptBytes    int64  `json:"kept_bytes"`
	NewestKeptMs int64  `json:"newest_kept_ms"` // timestamp of the newest such record, in ms since 1970; -1: there is none
	// TieredMs is the timestamp of the newest record of these partitions that is in the
	// bucket, in ms since 1970; -1: there is none.
	TieredMs int64 `json:"newest_in_bucket_ms"`
	// LostEntries is how many entries (of one or more batches) are lost for sure; -1: not
	// known, as only the members that are gone knew how far the journal went.
	LostEntries int64 `json:"lost_entries"`
}

// Loss is what giving up a journal came to.
type Loss struct {
	Journal string `json:"journal"`
	Kept    uint64 `json:"kept_entries"`
	Whole   bool   `json:"whole"` // nothing was lost after all
	Gone    bool   `json:"gone"`  // nothing of it was left
	// Lost is how many entries were lost; -1: not known, 0 is possible.
	Lost int64 `json:"lost_entries"`
}
