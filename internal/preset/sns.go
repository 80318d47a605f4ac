package preset

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // of SignatureVersion 1, which SNS still gives by default
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// AWSSNS is the name of a preset.
const AWSSNS = "aws-sns"

// awsSNS is Amazon SNS (Amazon SNS Developer Guide, "Verifying the signatures of
// Amazon SNS messages", "Subscribing HTTPS endpoints"). A message is signed by a
// certificate that SNS serves itself. Anybody can have SNS sign a message of a topic
// of their own, so only those of the topic that the webhook names are taken, and
// only its subscriptions confirmed.
var awsSNS = preset{
	name:   AWSSNS,
	needs:  []string{"topic_arn"},
	check:  checkTopic,
	verify: verifySNS,
	events: oneOf(inInput("/Type"), inInput("/Subject")),
	id:     inInput("/MessageId"), idSigned: true,
	handshake: confirmSubscription,
}

var topicARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}$`)
}) // compiling it takes a millisecond of a cold start

func checkTopic(v boathook.Verification) error {
	if !topicARN().MatchString(v.TopicARN) {
		return boathook.InvalidField("verification.topic_arn", "must be a topic's ARN, such as arn:aws:sns:eu-central-1:123456789012:alarms")
	}
	return nil
}

// snsMessage is what SNS posts. Raw message delivery, which has no signature, posts
// none of it.
type snsMessage struct {
	MessageID                                                        string `json:"MessageId"`
	Type, Token, TopicArn, Subject, Message, Timestamp, SubscribeURL string
	SignatureVersion, Signature, SigningCertURL                      string
}

// signed is the text that is signed: names and values by lines, in an order that
// depends on the type.
func (s snsMessage) signed() string {
	fields := [][2]string{{"Message", s.Message}, {"MessageId", s.MessageID}}
	if s.Type == "Notification" {
		if s.Subject != "" {
			fields = append(fields, [2]string{"Subject", s.Subject})
		}
		fields = append(fields, [2]string{"Timestamp", s.Timestamp})
	} else {
		fields = append(fields, [2]string{"SubscribeURL", s.SubscribeURL}, [2]string{"Timestamp", s.Timestamp}, [2]string{"Token", s.Token})
	}
	fields = append(fields, [2]string{"TopicArn", s.TopicArn}, [2]string{"Type", s.Type})
	var text strings.Builder
	for _, field := range fields {
		text.WriteString(field[0] + "\n" + field[1] + "\n")
	}
	return text.String()
}

func verifySNS(m *message, body []byte) error {
	var sent snsMessage
	if json.Unmarshal(body, &sent) != nil || sent.Signature == "" {
		return unproven(errors.New("the body is no message of SNS with its Signature; raw message delivery has none"))
	}
	if sent.TopicArn != m.settings.TopicARN {
		return unproven(errors.New("TopicArn is not the webhook's topic"))
	}
	hash, sum := crypto.SHA256, sha256Of
	switch sent.SignatureVersion {
	case "1":
		hash, sum = crypto.SHA1, sha1Of
	case "2":
	default:
		return unproven(errors.New("SignatureVersion: expected 1 or 2"))
	}
	given, err := base64.StdEncoding.DecodeString(sent.Signature)
	if err != nil {
		return unproven(errors.New("the message's Signature is not base64"))
	}
	key, err := snsKey(m, sent.SigningCertURL)
	if err != nil {
		return err
	}
	if rsa.VerifyPKCS1v15(key, hash, sum(sent.signed()), given) != nil {
		return unproven(signature.ErrMismatch)
	}
	return nil
}

func sha1Of(text string) []byte {
	sum := sha1.Sum([]byte(text))
	return sum[:]
}

func sha256Of(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// snsHost are the hosts that serve SNS.
var snsHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?$`)
})

// ofSNS reports whether a URL is one of SNS's own.
func ofSNS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.User == nil && snsHost().MatchString(u.Host)
}

// snsKey is the public key of the certificate at a URL.
func snsKey(m *message, at string) (*rsa.PublicKey, error) {
	if !ofSNS(at) || !strings.HasSuffix(at, ".pem") {
		return nil, unproven(errors.New("SigningCertURL is not one of SNS"))
	}
	text, err := m.Fetch(at)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of SNS: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, unproven(errors.New("SigningCertURL holds no certificate"))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, unproven(errors.New("SigningCertURL holds no certificate"))
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, unproven(errors.New("SigningCertURL holds a certificate that is not of RSA"))
	}
	return key, nil
}

// confirmSubscription makes a subscription of the webhook's topic begin, and answers
// the news that one has ended.
func confirmSubscription(m *message) (*Answer, error) {
	switch m.at("/Type") {
	case "SubscriptionConfirmation":
		at := m.at("/SubscribeURL")
		if !ofSNS(at) {
			return nil, unproven(errors.New("SubscribeURL is not one of SNS"))
		}
		if _, err := m.Fetch(at); err != nil {
			return nil, fmt.Errorf("confirm a subscription of SNS: %w", err)
		}
		return answerJSON(map[string]any{"status": "confirmed"}), nil
	case "UnsubscribeConfirmation":
		return answerText(""), nil
	}
	return nil, nil
}
