package clients

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	segmentio "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	xdg "github.com/xdg-go/scram"
)

const (
	user, password = "admin", "first, secret="
	saslOnTLS      = "127.0.0.1:17994"
	tokens         = "127.0.0.1:17995"
)

// securedListeners returns the setting of the broker's listeners, one of them with TLS and SASL.
func securedListeners(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(err, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), 0o600))
	return fmt.Sprintf("[{name: PLAINTEXT, bind: '%s'}, {name: SASL_SSL, bind: '%s', tls: {cert_file: '%s', key_file: '%s'}, sasl: {mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512]}}, {name: TOKENS, bind: '%s', protocol: SASL_SSL, tls: {cert_file: '%[3]s', key_file: '%[4]s'}, sasl: {mechanisms: [OAUTHBEARER]}}]",
		broker, saslOnTLS, cert, private, tokens), err
}

var anyServer = &tls.Config{InsecureSkipVerify: true} // what it trusts is not the point here

// saramaScram is the client's side of SCRAM, which sarama leaves to others.
type saramaScram struct {
	hash xdg.HashGeneratorFcn
	*xdg.ClientConversation
}

func (s *saramaScram) Begin(user, password, authzID string) error {
	c, err := s.hash.NewClient(user, password, authzID)
	if err == nil {
		s.ClientConversation = c.NewConversation()
	}
	return err
}

func TestSaramaSecured(t *testing.T) {
	for mechanism, hash := range map[sarama.SASLMechanism]xdg.HashGeneratorFcn{sarama.SASLTypePlaintext: nil, sarama.SASLTypeSCRAMSHA256: sha256.New, sarama.SASLTypeSCRAMSHA512: sha512.New} {
		for secret, ok := range map[string]bool{password: true, "wrong": false} {
			cfg := sarama.NewConfig()
			cfg.Version = sarama.MaxVersion
			cfg.Producer.Return.Successes = true
			cfg.Metadata.Retry.Max = 0
			cfg.Net.TLS.Enable, cfg.Net.TLS.Config = true, anyServer
			cfg.Net.SASL.Enable, cfg.Net.SASL.Mechanism, cfg.Net.SASL.User, cfg.Net.SASL.Password = true, mechanism, user, secret
			cfg.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &saramaScram{hash: hash} }
			p, err := sarama.NewSyncProducer([]string{saslOnTLS}, cfg)
			if err == nil {
				_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "sarama-secured", Value: sarama.StringEncoder(mechanism)})
				err = errors.Join(err, p.Close())
			}
			if (err == nil) != ok {
				t.Errorf("%s, password right %v: %v", mechanism, ok, err)
			}
		}
	}
}

func TestKafkaGoSecured(t *testing.T) {
	mechanisms := func(password string) map[string]sasl.Mechanism {
		one, err := scram.Mechanism(scram.SHA256, user, password)
		two, err2 := scram.Mechanism(scram.SHA512, user, password)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return map[string]sasl.Mechanism{"PLAIN": plain.Mechanism{Username: user, Password: password}, "SCRAM-SHA-256": one, "SCRAM-SHA-512": two}
	}
	for secret, ok := range map[string]bool{password: true, "wrong": false} {
		for name, m := range mechanisms(secret) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			w := &segmentio.Writer{Addr: segmentio.TCP(saslOnTLS), Topic: "kafka-go-secured", AllowAutoTopicCreation: true, MaxAttempts: 5, Transport: &segmentio.Transport{TLS: anyServer, SASL: m}, BatchTimeout: time.Millisecond}
			err := w.WriteMessages(ctx, segmentio.Message{Value: []byte(name)})
			err = errors.Join(err, w.Close())
			if (err == nil) != ok {
				t.Errorf("%s, password right %v: %v", name, ok, err)
			}
			cancel()
		}
	}
}
