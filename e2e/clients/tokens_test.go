package clients

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/oauth2-proxy/mockoidc"
)

// provider is the OpenID provider that the broker believes.
var provider *mockoidc.MockOIDC

// token returns one of the provider's; a bad one is signed by another key.
func token(life time.Duration, bad bool) (string, error) {
	s, err := provider.SessionStore.NewSession("openid", "", mockoidc.DefaultUser(), "", "")
	if err != nil {
		return "", err
	}
	key := provider.Keypair
	if bad {
		if key, err = mockoidc.RandomKeypair(2048); err != nil {
			return "", err
		}
	}
	c := provider.Config()
	c.AccessTTL = life
	return s.AccessToken(c, key, time.Now())
}

// saramaToken is where sarama gets its tokens.
type saramaToken struct{ bad bool }

func (s saramaToken) Token() (*sarama.AccessToken, error) {
	text, err := token(time.Minute, s.bad)
	return &sarama.AccessToken{Token: text, Extensions: map[string]string{"traceId": "1"}}, err
}

func TestSaramaWithTokens(t *testing.T) {
	for _, bad := range []bool{false, true} {
		cfg := sarama.NewConfig()
		cfg.Version = sarama.MaxVersion
		cfg.Producer.Return.Successes = true
		cfg.Metadata.Retry.Max = 0
		cfg.Net.TLS.Enable, cfg.Net.TLS.Config = true, anyServer
		cfg.Net.SASL.Enable, cfg.Net.SASL.Mechanism, cfg.Net.SASL.TokenProvider = true, sarama.SASLTypeOAuth, saramaToken{bad}
		p, err := sarama.NewSyncProducer([]string{tokens}, cfg)
		if err == nil {
			_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "sarama-tokens", Value: sarama.StringEncoder("x")})
			err = errors.Join(err, p.Close())
		}
		if (err != nil) != bad {
			t.Errorf("bad token %v: %v", bad, err)
		}
	}
}

// librdkafka fetches tokens from an endpoint, and renews them: it authenticates again before
// they expire, and loses no record.
func TestLibrdkafkaWithTokens(t *testing.T) {
	var bad atomic.Bool
	var fetched atomic.Int32
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := token(8*time.Second, bad.Load())
		if id, secret, _ := r.BasicAuth(); err != nil || id != "client" || secret != "secret" || r.FormValue("grant_type") != "client_credentials" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fetched.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": 8})
	}))
	defer endpoint.Close()
	producer := func() *kafka.Producer {
		p, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": tokens, "security.protocol": "SASL_SSL", "enable.ssl.certificate.verification": false, "sasl.mechanisms": "OAUTHBEARER",
			"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": endpoint.URL, "sasl.oauthbearer.client.id": "client", "sasl.oauthbearer.client.secret": "secret", "sasl.oauthbearer.extensions": "traceId=1",
			"enable.idempotence": true, "message.timeout.ms": 15000, "allow.auto.create.topics": true})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	topic := "librdkafka-tokens"
	send := func(p *kafka.Producer) error {
		done := make(chan kafka.Event, 1)
		if err := p.Produce(&kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Value: []byte("x")}, done); err != nil {
			return err
		}
		return (<-done).(*kafka.Message).TopicPartition.Error
	}
	p := producer()
	defer p.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-tick.C {
		if err := send(p); err != nil {
			t.Fatal(err)
		}
	}
	if n := fetched.Load(); n < 3 {
		t.Errorf("%d tokens were fetched", n)
	}
	resp, err := http.Get("http://127.0.0.1:17993/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page := new(strings.Builder)
	if err := resp.Write(page); err != nil || !strings.Contains(page.String(), "varve_kafka_expired_sessions_total 0") {
		t.Errorf("sessions expired: %v", err)
	}
	bad.Store(true)
	other := producer()
	defer other.Close()
	if err := send(other); err == nil {
		t.Error("a token by another key is let in")
	}
}
