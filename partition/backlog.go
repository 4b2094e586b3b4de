package partition

// backlog is what is committed and not in the tier.
type backlog struct {
	bytes int64
	since int64 // since when, in ms; since the tier got something last, if that is later
}

// add counts bytes that became committed.
func (b *backlog) add(n int64, now Clock) {
	if b.bytes == 0 {
		b.since = now()
	}
	b.bytes += n
}

// sub counts bytes that reached the tier.
func (b *backlog) sub(n int64, now Clock) {
	b.bytes -= n
	if b.since = 0; b.bytes > 0 {
		b.since = now()
	}
}
