package main

import (
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// TestDumpBesideDamagedHead: a head that can't be decoded keeps no other from being shown.
func TestDumpBesideDamagedHead(t *testing.T) {
	meta := metadata.NewMemory().Open()
	defer meta.Close()
	topic := schema.Topic{ID: id.Topic{7}, Partitions: 2}
	ops := []metadata.Op{metadata.Put(schema.TopicKey("t"), topic.Encode())}
	for i := range topic.Partitions {
		ops = append(ops, metadata.Put(schema.OwnerKey(id.Partition{Topic: topic.ID, Index: i}), schema.Ownership{Owner: 1}.Encode()))
	}
	ops = append(ops, metadata.Put(schema.HeadKey(id.Partition{Topic: topic.ID, Index: 1}), []byte{99}))
	if _, err := meta.Txn(t.Context(), nil, ops...); err != nil {
		t.Fatal(err)
	}
	if heads, err := readHeads(t.Context(), meta, "t", []int32{0}); err != nil || len(heads) != 1 {
		t.Errorf("%d heads, %v", len(heads), err)
	}
	if _, err := readHeads(t.Context(), meta, "t", []int32{1}); err == nil {
		t.Error("a damaged head was shown")
	}
}
