package object

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
)

// Keys in the bucket, below the cluster's prefix:
//
//	data/<hh>/<writer>-<number>    an object with slices (format.go)
//	pages/<hh>/<writer>-<number>   a page of a manifest (page.go)
//	varve-cluster                  the cluster that the bucket and prefix belong to (marker.go)
//	varve-probe/<random>           what a starting agent tries the store with; left over it does no harm
//
// writer is the incarnation that wrote it, number is unique in the incarnation;
// both decimal. hh are two hex digits, the lowest byte of the CRC-32C of writer
// and number as two little-endian uint64; they spread load over the store's
// partitions, which go by prefix.
const (
	PrefixData  = "data/"
	PrefixPages = "pages/"
)

// Key is the key of an object with slices.
func Key(o schema.Object) string { return objectKey(PrefixData, o) }

// PageKey is the key of a manifest page.
func PageKey(o schema.Object) string { return objectKey(PrefixPages, o) }

func objectKey(prefix string, o schema.Object) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(o.Writer))
	binary.LittleEndian.PutUint64(b[8:], o.Seq)
	return fmt.Sprintf("%s%02x/%s", prefix, byte(kafka.Checksum(b[:])), o)
}

// ParseKey takes a Key or a PageKey apart. Anything else, such as other
// files in the bucket, is not ok.
func ParseKey(key string) (o schema.Object, page, ok bool) {
	slash := strings.LastIndexByte(key, '/')
	w, n, _ := strings.Cut(key[slash+1:], "-")
	writer, err1 := strconv.ParseUint(w, 10, 64)
	seq, err2 := strconv.ParseUint(n, 10, 64)
	o = schema.Object{Writer: id.Incarnation(writer), Seq: seq}
	if err1 != nil || err2 != nil {
		return schema.Object{}, false, false
	}
	switch key {
	case Key(o):
		return o, false, true
	case PageKey(o):
		return o, true, true
	}
	return schema.Object{}, false, false
}
