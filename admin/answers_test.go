package admin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"varve/internal/golden"
)

// fill gives every field of an answer a value that isn't zero.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(*n, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		v.SetInt(*n)
	}
}

// TestAnswers: the names and the order of what an answer consists of stay as programs know
// them, of an answer that has everything and of one that has nothing.
func TestAnswers(t *testing.T) {
	var all strings.Builder
	for _, v := range []any{&Status{}, &ClusterStatus{}, &JournalsStatus{}, &LossCost{}, &Loss{}, &Balanced{}, &TierLook{}, &Skipped{}} {
		for range 2 {
			b, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s %s\n", reflect.TypeOf(v).Elem().Name(), b)
			fill(reflect.ValueOf(v).Elem(), new(int64))
		}
	}
	golden.Check(t, "testdata/answers.txt", all.String())
}
