package s3store

// Op names a method of Store in errors, metrics and faults.
type Op string

// The operations of Store.
const (
	OpPut         Op = "put"
	OpPutIfAbsent Op = "put_if_absent"
	OpGet         Op = "get"
	OpHead        Op = "head"
	OpList        Op = "list"
	OpDelete      Op = "delete"
)

var allOps = []Op{OpPut, OpPutIfAbsent, OpGet, OpHead, OpList, OpDelete}

// putOp names the kind of a put.
func putOp(ifAbsent bool) Op {
	if ifAbsent {
		return OpPutIfAbsent
	}
	return OpPut
}
