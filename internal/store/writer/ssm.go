package writer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"gatehouse/internal/store"
)

// A person waits for it, and an account may write three parameters a second (AWS General Reference, "Systems Manager
// quotas"): it has more patience than the function.
const (
	perCall     = 10 // names, and parameters of a page
	attempts    = 8
	attemptTime = 10 * time.Second
	maxBackoff  = 5 * time.Second
)

// parameters writes Parameter Store.
type parameters struct {
	store.Address
	client *ssm.Client
}

func openSSM(ctx context.Context, a store.Address) (store.Writer, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRetryer(func() aws.Retryer { return store.Retryer(attempts, maxBackoff, "TooManyUpdates") }),
		config.WithLogger(logging.Nop{}), // what a person should know comes as an error
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTime)))
	if err == nil && cfg.Region == "" {
		err = errors.New("no AWS region: set AWS_REGION, or one in the profile")
	}
	if err != nil {
		return nil, fmt.Errorf("store %v: %w", a, err)
	}
	return parameters{a, ssm.NewFromConfig(cfg)}, nil
}

func (p parameters) Create(ctx context.Context, key, value string) error {
	return p.create(ctx, key, &ssm.PutParameterInput{Type: types.ParameterTypeString, Value: &value})
}

func (p parameters) CreateSecret(ctx context.Context, key, value, kmsKey string) error {
	in := &ssm.PutParameterInput{Type: types.ParameterTypeSecureString, Value: &value}
	if kmsKey != "" {
		in.KeyId = &kmsKey
	}
	return p.create(ctx, key, in)
}

func (p parameters) create(ctx context.Context, key string, in *ssm.PutParameterInput) error {
	in.Overwrite = aws.Bool(false)
	err := p.put(ctx, key, in)
	if _, ok := errors.AsType[*types.ParameterAlreadyExists](err); ok {
		err = p.same(ctx, key, in) // perhaps it is our own: the answer to an earlier attempt got lost
	}
	return failed(p.Address, "create", key, err)
}

// put writes a text of the standard tier. Where no tier is given the account's default holds, which may be one that costs.
func (p parameters) put(ctx context.Context, key string, in *ssm.PutParameterInput) error {
	value := aws.ToString(in.Value)
	if err := check(key, value); err != nil {
		return err
	}
	in.Name, in.Tier, in.DataType = aws.String(p.Name(key)), types.ParameterTierStandard, aws.String("text")
	ctx, why := store.Remember(ctx)
	_, err := p.client.PutParameter(ctx, in)
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[smithy.APIError](err); ok && strings.Contains(err.Error(), value) {
		return fmt.Errorf("%s: the message is left out, since it has the value", fault.ErrorCode())
	}
	return why(err)
}

// same says whether a key holds what was to be written. A secret must be held as one.
func (p parameters) same(ctx context.Context, key string, in *ssm.PutParameterInput) error {
	ctx, why := store.Remember(ctx)
	out, err := p.client.GetParameter(ctx, &ssm.GetParameterInput{Name: in.Name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return fmt.Errorf("it exists, but cannot be read: %w", why(err))
	}
	if out.Parameter == nil {
		return errors.New("it exists, but the answer has no parameter")
	}
	there, err := p.Read(*out.Parameter)
	switch {
	case err != nil:
		return err
	case there.Value != *in.Value:
		return store.ErrExists
	case in.Type == types.ParameterTypeSecureString && out.Parameter.Type != in.Type:
		return fmt.Errorf("%w: it is there already and is no secret", store.ErrExists)
	}
	return nil
}

// Activate may write twice where an answer gets lost, and then over what another wrote in between. Whoever activates
// reads back afterwards, and never takes a lower sequence for a newer one.
func (p parameters) Activate(ctx context.Context, value string) error {
	in := &ssm.PutParameterInput{Type: types.ParameterTypeString, Value: &value, Overwrite: aws.Bool(true)}
	return failed(p.Address, "write", store.Active, p.put(ctx, store.Active, in))
}

func (p parameters) List(ctx context.Context, prefix string) ([]store.Parameter, error) {
	found, err := p.list(ctx, prefix)
	return found, failed(p.Address, "list", prefix, err)
}

// list reads page by page. A page may be empty and not the last, and what is written meanwhile may come twice (Systems
// Manager API Reference, "GetParametersByPath": best effort).
func (p parameters) list(ctx context.Context, prefix string) ([]store.Parameter, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	in := &ssm.GetParametersByPathInput{
		Path:      aws.String(strings.TrimSuffix(p.Name(prefix), "/")),
		Recursive: aws.Bool(true), WithDecryption: aws.Bool(true), MaxResults: aws.Int32(perCall),
	}
	latest := map[string]store.Parameter{}
	for {
		page, err := p.page(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, parameter := range page.Parameters {
			got, err := p.Read(parameter)
			if errors.Is(err, store.ErrNotText) {
				continue // a stranger's: an error would keep whoever wants to roll back from it
			}
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(got.Key, prefix) {
				return nil, fmt.Errorf("the answer has %s", got.Key)
			}
			if before, twice := latest[got.Key]; !twice || got.Modified.After(before.Modified) {
				latest[got.Key] = got
			}
		}
		next := aws.ToString(page.NextToken)
		if next == "" {
			break
		}
		if next == aws.ToString(in.NextToken) {
			return nil, errors.New("the answers do not end: the same token again")
		}
		in.NextToken = &next
	}
	var found []store.Parameter
	for _, got := range latest {
		found = append(found, got)
	}
	return byKey(found), nil
}

func (p parameters) page(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	ctx, why := store.Remember(ctx)
	out, err := p.client.GetParametersByPath(ctx, in)
	return out, why(err)
}

func (p parameters) Delete(ctx context.Context, keys []string) error {
	return failed(p.Address, "delete", fmt.Sprintf("%d keys", len(keys)), p.remove(ctx, keys))
}

func (p parameters) remove(ctx context.Context, keys []string) error {
	if err := checkDelete(keys); err != nil {
		return err
	}
	keys = slices.Clone(keys)
	slices.Sort(keys)
	for batch := range slices.Chunk(slices.Compact(keys), perCall) {
		names := make([]string, len(batch))
		for i, key := range batch {
			names[i] = p.Name(key)
		}
		ctx, why := store.Remember(ctx)
		if _, err := p.client.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: names}); err != nil {
			return why(err)
		}
	}
	return nil
}
