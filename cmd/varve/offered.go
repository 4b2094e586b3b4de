package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
)

// askOffered bounds how long brokers are asked which mechanisms they offer, only for an error.
const askOffered = 5 * time.Second

// offered returns which mechanisms of SASL the first broker that answers offers, and that commands have.
func (t *target) offered() (out []string) {
	ctx, cancel := context.WithTimeout(context.Background(), askOffered)
	defer cancel()
	for _, addr := range t.seeds {
		if list, err := t.offeredBy(ctx, addr); err == nil {
			return slices.DeleteFunc(list, func(m string) bool { return !slices.Contains(sasl.Mechanisms(), m) })
		}
	}
	return nil
}

func (t *target) offeredBy(ctx context.Context, addr string) ([]string, error) {
	conn, err := t.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.SetVersion(1)
	req.Mechanism = t.sasl.Name()
	if _, err := conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("varve-cli")).AppendRequest(nil, req, 1)); err != nil {
		return nil, err
	}
	head := make([]byte, 8) // the response's length, and which request it is for
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head)
	if size < 4 || size > 64<<10 {
		return nil, fmt.Errorf("a response of %d bytes", size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(1)
	err = resp.ReadFrom(body)
	return resp.SupportedMechanisms, err
}

// sayOffered says which mechanisms there are.
func sayOffered(mechanisms []string) string {
	if len(mechanisms) == 0 {
		return "--sasl names another one"
	}
	return fmt.Sprintf("it offers %s: --sasl %s", strings.Join(mechanisms, ", "), mechanisms[0])
}
