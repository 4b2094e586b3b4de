package kafka

import "encoding/binary"

// Empty makes a batch without records that stands for the offsets from base to before
// next, at most 2^31-1 of them, in a leader epoch: what Kafka keeps where compaction has
// left no record of a batch. Clients pass over it. It has neither timestamps nor a
// producer.
func Empty(base, next int64, epoch int32) Batch {
	b := make(Batch, BatchHeaderBytes)
	be := binary.BigEndian
	be.PutUint32(b[8:], uint32(len(b)-batchLengthEnd))
	b[16] = 2
	be.PutUint32(b[23:], uint32(next-base-1))
	be.PutUint64(b[27:], ^uint64(0))
	be.PutUint64(b[35:], ^uint64(0))
	b.SetProducer(-1, -1, -1)
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(epoch)
	b.seal()
	return b
}
