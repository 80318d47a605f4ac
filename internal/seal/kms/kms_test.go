package kms_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"boathook/internal/seal"
	"boathook/internal/seal/kms"
)

var _ seal.KeyService = kms.Keys{}

// client is of the KMS at BOATHOOK_TEST_MOTO.
func client(t *testing.T) *awskms.Client {
	t.Helper()
	endpoint := os.Getenv("BOATHOOK_TEST_MOTO")
	if endpoint == "" {
		const why = "BOATHOOK_TEST_MOTO is not set: `make test` starts an emulator and sets it"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	return awskms.New(awskms.Options{
		BaseEndpoint: &endpoint,
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func newKey(t *testing.T, c *awskms.Client) kms.Keys {
	t.Helper()
	out, err := c.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return kms.Keys{Client: c, KeyID: *out.KeyMetadata.KeyId}
}

func TestADataKeyUnwrapsForItsWorkspace(t *testing.T) {
	keys := newKey(t, client(t))
	plain, wrapped, err := keys.NewDataKey(t.Context(), "ws_1")
	if err != nil || len(plain) != seal.KeySize || bytes.Contains(wrapped, plain) {
		t.Fatalf("got a key of %d bytes, %v", len(plain), err)
	}
	if got, err := keys.Unwrap(t.Context(), "ws_1", wrapped); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %d bytes, %v; want the key", len(got), err)
	}
}

func TestADataKeyUnwrapsForNoOtherWorkspaceAndByNoOtherKey(t *testing.T) {
	c := client(t)
	keys, others := newKey(t, c), newKey(t, c)
	_, wrapped, err := keys.NewDataKey(t.Context(), "ws_1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Unwrap(t.Context(), "ws_2", wrapped); err == nil {
		t.Error("another workspace unwrapped the key")
	}
	if _, err := others.Unwrap(t.Context(), "ws_1", wrapped); err == nil {
		t.Error("another key unwrapped the key")
	}
	altered := bytes.Clone(wrapped)
	altered[len(altered)-1] ^= 1
	if _, err := keys.Unwrap(t.Context(), "ws_1", altered); err == nil {
		t.Error("an altered key was unwrapped")
	}
}

func TestAKeyThatDoesNotExistIsAnError(t *testing.T) {
	c := client(t)
	keys := kms.Keys{Client: c, KeyID: "11111111-2222-3333-4444-555555555555"}
	if _, _, err := keys.NewDataKey(t.Context(), "ws_1"); err == nil {
		t.Error("a data key without a key")
	}
}

// recorded is a KMS that remembers what it was asked, and fails.
type recorded struct {
	generate *awskms.GenerateDataKeyInput
	decrypt  *awskms.DecryptInput
	err      error
}

func (r *recorded) GenerateDataKey(_ context.Context, in *awskms.GenerateDataKeyInput, _ ...func(*awskms.Options)) (*awskms.GenerateDataKeyOutput, error) {
	r.generate = in
	return nil, r.err
}

func (r *recorded) Decrypt(_ context.Context, in *awskms.DecryptInput, _ ...func(*awskms.Options)) (*awskms.DecryptOutput, error) {
	r.decrypt = in
	return nil, r.err
}

// Emulators check less than AWS, so what is asked is looked at too.
func TestKMSIsAskedForAnAES256KeyBoundToTheWorkspace(t *testing.T) {
	r := &recorded{err: errors.New("throttled")}
	keys := kms.Keys{Client: r, KeyID: "key"}
	if _, _, err := keys.NewDataKey(t.Context(), "ws_1"); !errors.Is(err, r.err) {
		t.Errorf("got %v, want the cause", err)
	}
	if _, err := keys.Unwrap(t.Context(), "ws_1", []byte("wrapped")); !errors.Is(err, r.err) {
		t.Errorf("got %v, want the cause", err)
	}
	if in := r.generate; aws.ToString(in.KeyId) != "key" || in.KeySpec != types.DataKeySpecAes256 || in.EncryptionContext["workspace"] != "ws_1" {
		t.Errorf("asked for %+v", in)
	}
	if in := r.decrypt; aws.ToString(in.KeyId) != "key" || string(in.CiphertextBlob) != "wrapped" || in.EncryptionContext["workspace"] != "ws_1" {
		t.Errorf("asked for %+v", in)
	}
}
