package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// What a reading may cost. A caller's deadline cuts all of it short.
const (
	perCall     = 10 // names (Systems Manager API Reference, "GetParameters")
	attempts    = 3
	attemptTime = 2 * time.Second // so that one that hangs leaves time for another
	maxBackoff  = time.Second
	maxResponse = 1 << 20 // ten values of 4,096 bytes, each escaped in JSON, take a quarter of it
)

// parameters reads Parameter Store. It holds the client's two methods and not the client: were the client's type in reach
// of a reflecting program, the linker would keep everything that a client can do, PutParameter included.
type parameters struct {
	Address
	getParameter  func(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
	getParameters func(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
}

// openSSM reads what the AWS SDK's config package would read of a function's environment, all faults at once. There are no
// profiles in a function, no files, and no metadata service.
func openSSM(a Address, env []string) (Reader, error) {
	options, err := options(env)
	if err != nil {
		return nil, fmt.Errorf("store %v: %w", a, err)
	}
	client := ssm.New(options)
	return parameters{a, client.GetParameter, client.GetParameters}, nil
}

func options(env []string) (ssm.Options, error) {
	vars := map[string]string{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	var faults []error
	flag := func(name string) bool {
		switch value := strings.ToLower(vars[name]); value {
		case "", "false", "true":
			return value == "true"
		default:
			faults = append(faults, fmt.Errorf("%s=%q: is neither true nor false", name, vars[name]))
			return false
		}
	}
	fips, dualStack := flag("AWS_USE_FIPS_ENDPOINT"), flag("AWS_USE_DUALSTACK_ENDPOINT")

	name, region := first(vars, "AWS_REGION", "AWS_DEFAULT_REGION")
	switch {
	case region == "":
		faults = append(faults, errors.New("AWS_REGION: is not set"))
	case strings.ContainsFunc(region, func(r rune) bool { return !allowed(r) || r == '_' || r == '.' }):
		faults = append(faults, fmt.Errorf("%s=%q: is no region", name, region))
	}
	credentials := aws.Credentials{
		AccessKeyID: vars["AWS_ACCESS_KEY_ID"], SecretAccessKey: vars["AWS_SECRET_ACCESS_KEY"], SessionToken: vars["AWS_SESSION_TOKEN"],
		Source: "environment",
	}
	if credentials.AccessKeyID == "" {
		faults = append(faults, errors.New("AWS_ACCESS_KEY_ID: is not set"))
	}
	if credentials.SecretAccessKey == "" {
		faults = append(faults, errors.New("AWS_SECRET_ACCESS_KEY: is not set"))
	}

	name, base := "", ""
	if !flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
		name, base = first(vars, "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL")
	}
	var endpoint *string
	if base != "" {
		endpoint = &base
		if u, err := url.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			faults = append(faults, fmt.Errorf("%s=%q: is no http or https URL", name, base))
		}
		if fips || dualStack {
			faults = append(faults, fmt.Errorf("%s: goes with neither AWS_USE_FIPS_ENDPOINT nor AWS_USE_DUALSTACK_ENDPOINT", name))
		}
	}
	o := ssm.Options{
		Region:       region,
		BaseEndpoint: endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
		HTTPClient: newClient(),
		Retryer:    Retryer(attempts, maxBackoff),
	}
	if fips {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if dualStack {
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return o, errors.Join(faults...)
}

// first gives the first variable that is set.
func first(vars map[string]string, names ...string) (name, value string) {
	for _, name := range names {
		if vars[name] != "" {
			return name, vars[name]
		}
	}
	return "", ""
}

// client bounds what an endpoint may send.
type client struct{ http *http.Client }

// newClient asks no proxy and keeps no connection: one reading in half a minute gains nothing from it, and what was idle
// while the function was frozen is often dead.
func newClient() client {
	return client{&http.Client{
		Timeout: attemptTime,
		Transport: &http.Transport{
			Proxy:                  nil,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c client) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	return resp, nil
}

func (p parameters) Root() string { return p.Address.Root }

func (p parameters) Get(ctx context.Context, key string) (Parameter, error) {
	got, err := p.get(ctx, key)
	if err != nil {
		return Parameter{}, fmt.Errorf("%v: get %s: %w", p.Address, key, err)
	}
	return got, nil
}

func (p parameters) get(ctx context.Context, key string) (Parameter, error) {
	if err := CheckKey(key); err != nil {
		return Parameter{}, err
	}
	ctx, why := Remember(ctx)
	name := p.Name(key)
	out, err := p.getParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if _, ok := errors.AsType[*types.ParameterNotFound](err); ok {
		return Parameter{}, ErrNotFound
	}
	if err != nil {
		return Parameter{}, why(err)
	}
	if out.Parameter == nil {
		return Parameter{}, errors.New("the answer has no parameter")
	}
	got, err := p.Read(*out.Parameter)
	if err == nil && got.Key != key {
		err = fmt.Errorf("the answer is %q", got.Key)
	}
	return got, err
}

// Read reads a parameter of an answer, which is some key of this store or an error.
func (a Address) Read(p types.Parameter) (Parameter, error) {
	key, ok := a.Key(aws.ToString(p.Name))
	switch {
	case !ok:
		return Parameter{}, fmt.Errorf("the answer has %q, which is not of this store", aws.ToString(p.Name))
	case p.Value == nil:
		return Parameter{}, fmt.Errorf("the answer has no value of %s", key)
	case p.Type != types.ParameterTypeString && p.Type != types.ParameterTypeSecureString:
		return Parameter{}, fmt.Errorf("%s is a %q: %w", key, p.Type, ErrNotText)
	}
	return Parameter{Key: key, Value: *p.Value, Modified: aws.ToTime(p.LastModifiedDate)}, nil
}

func (p parameters) GetAll(ctx context.Context, keys []string) (map[string]string, error) {
	if err := checkKeys(keys); err != nil {
		return nil, fmt.Errorf("%v: get %d keys: %w", p.Address, len(keys), err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		calls   sync.WaitGroup
		mu      sync.Mutex
		values  = make(map[string]string, len(keys))
		missing []string
		failed  error // the first; the other calls are given up then
	)
	for batch := range slices.Chunk(distinct(keys), perCall) {
		calls.Go(func() {
			found, lacking, err := p.batch(ctx, batch)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = err
				cancel()
			}
			maps.Copy(values, found)
			missing = append(missing, lacking...)
		})
	}
	calls.Wait()
	if failed != nil {
		return nil, fmt.Errorf("%v: get %d keys: %w", p.Address, len(keys), failed)
	}
	if len(missing) > 0 {
		return nil, absent(p.Address, missing)
	}
	return values, nil
}

// batch makes one call. Each key comes back once, as a value or as one that is missing, in whatever order.
func (p parameters) batch(ctx context.Context, keys []string) (values map[string]string, missing []string, err error) {
	defer func() { // it runs in a goroutine of its own, where a panic would end the process
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %T", r)
		}
	}()
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = p.Name(key)
	}
	ctx, why := Remember(ctx)
	out, err := p.getParameters(ctx, &ssm.GetParametersInput{Names: names, WithDecryption: aws.Bool(true)})
	if err != nil {
		return nil, nil, why(err)
	}
	values = map[string]string{}
	answered := map[string]bool{}
	for _, parameter := range out.Parameters {
		got, err := p.Read(parameter)
		if err == nil {
			err = once(answered, keys, got.Key)
		}
		if err != nil {
			return nil, nil, err
		}
		values[got.Key] = got.Value
	}
	for _, name := range out.InvalidParameters {
		key, _ := p.Key(name)
		if err := once(answered, keys, key); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", name, err)
		}
		missing = append(missing, key)
	}
	for _, key := range keys {
		if !answered[key] {
			return nil, nil, fmt.Errorf("the answer says nothing of %s", key)
		}
	}
	return values, missing, nil
}

// once notes that a key was answered.
func once(answered map[string]bool, keys []string, key string) error {
	if !slices.Contains(keys, key) {
		return fmt.Errorf("the answer has %q, which was not asked for", key)
	}
	if answered[key] {
		return fmt.Errorf("the answer has %s twice", key)
	}
	answered[key] = true
	return nil
}

// brokenOff says that an answer ended early.
func brokenOff(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
