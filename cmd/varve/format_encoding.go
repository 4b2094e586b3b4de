package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// encoding is how bytes are written in text.
type encoding string

const (
	asText   encoding = "text"
	asBase64 encoding = "base64"
	asHex    encoding = "hex"
	asJSON   encoding = "json"
)

// encodingNames are those that can be read and written.
var encodingNames = []string{string(asText), string(asBase64), string(asHex)}

const encodingsHelp = "text, base64 or hex"

func encodingNamed(flag, name string) (encoding, error) {
	if !slices.Contains(encodingNames, name) {
		return "", usagef("%s is %q: must be %s", flag, name, encodingsHelp)
	}
	return encoding(name), nil
}

// append writes bytes; null is nothing, but null in JSON.
func (e encoding) append(to, b []byte) []byte {
	switch e {
	case asBase64:
		return base64.StdEncoding.AppendEncode(to, b)
	case asHex:
		return hex.AppendEncode(to, b)
	case asJSON:
		if b == nil {
			return append(to, "null"...)
		}
		text, err := json.Marshal(string(b))
		if err != nil {
			return to
		}
		return append(to, text...)
	}
	return append(to, b...)
}

// decode reads what append wrote. Base64 may lack its padding, or be that of URLs.
func (e encoding) decode(b []byte) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	switch e {
	case asBase64:
		text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", "\r", "").Replace(string(b)), "=")
		out, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("not base64: %w", err)
		}
		return out, nil
	case asHex:
		out := make([]byte, hex.DecodedLen(len(b)))
		if _, err := hex.Decode(out, b); err != nil {
			return nil, fmt.Errorf("not hexadecimal: %w", err)
		}
		return out, nil
	}
	return b, nil
}
