package parameterstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gatehouse/test/parameterstore"
)

// client is the SDK's, which tries once.
func client(s *parameterstore.Server, more ...func(*ssm.Options)) *ssm.Client {
	env := map[string]string{}
	for _, v := range s.Env() {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return ssm.New(ssm.Options{
		BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL_SSM"]), Region: env["AWS_REGION"], Retryer: aws.NopRetryer{},
		Credentials: credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]),
	}, more...)
}

func credentials(id, secret string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
	})
}

// code is the error code of the service, or "" where there is no error.
func code(err error) string {
	if err == nil {
		return ""
	}
	if fault, ok := errors.AsType[smithy.APIError](err); ok {
		return fault.ErrorCode()
	}
	return "no answer"
}

func TestPutParameter(t *testing.T) {
	s := parameterstore.Start(t)
	c := client(s)
	put := func(change func(*ssm.PutParameterInput)) error {
		in := &ssm.PutParameterInput{Name: aws.String("/a/b"), Value: aws.String("v"), Type: types.ParameterTypeString}
		change(in)
		_, err := c.PutParameter(t.Context(), in)
		return err
	}
	for _, test := range []struct {
		name   string
		change func(*ssm.PutParameterInput)
		want   string
	}{
		{"first", func(*ssm.PutParameterInput) {}, ""},
		{"again", func(*ssm.PutParameterInput) {}, "ParameterAlreadyExists"},
		{"overwrite", func(in *ssm.PutParameterInput) { in.Overwrite = aws.Bool(true) }, ""},
		{"overwrite without a type", func(in *ssm.PutParameterInput) { in.Overwrite, in.Type = aws.Bool(true), "" }, ""},
		{"another type", func(in *ssm.PutParameterInput) {
			in.Overwrite, in.Type = aws.Bool(true), types.ParameterTypeSecureString
		}, "HierarchyTypeMismatchException"},
		{"no type", func(in *ssm.PutParameterInput) { in.Name, in.Type = aws.String("/c"), "" }, "ValidationException"},
		{"unknown type", func(in *ssm.PutParameterInput) { in.Type = "Number" }, "UnsupportedParameterType"},
		{"longest", func(in *ssm.PutParameterInput) {
			in.Name, in.Value = aws.String("/d"), aws.String(strings.Repeat("x", 4096))
		}, ""},
		{"too long", func(in *ssm.PutParameterInput) {
			in.Name, in.Value = aws.String("/e"), aws.String(strings.Repeat("x", 4097))
		}, "ValidationException"},
		{"empty", func(in *ssm.PutParameterInput) { in.Value = aws.String("") }, "ValidationException"},
		{"braces", func(in *ssm.PutParameterInput) { in.Value = aws.String("x{{y}}") }, "ValidationException"},
		{"advanced", func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }, "ValidationException"},
		{"intelligent", func(in *ssm.PutParameterInput) { in.Tier = types.ParameterTierIntelligentTiering }, "ValidationException"},
		{"data type", func(in *ssm.PutParameterInput) { in.DataType = aws.String("aws:ec2:image") }, "ValidationException"},
		{"key of a String", func(in *ssm.PutParameterInput) { in.KeyId = aws.String(parameterstore.Key) }, "ValidationException"},
		{"unknown key", func(in *ssm.PutParameterInput) {
			in.Type, in.KeyId = types.ParameterTypeSecureString, aws.String("alias/none")
		}, "InvalidKeyId"},
		{"15 levels", func(in *ssm.PutParameterInput) { in.Name = aws.String(strings.Repeat("/l", 15)) }, ""},
		{"16 levels", func(in *ssm.PutParameterInput) { in.Name = aws.String(strings.Repeat("/l", 16)) }, "HierarchyLevelLimitExceededException"},
		{"one level, no slash", func(in *ssm.PutParameterInput) { in.Name = aws.String("plain") }, ""},
		{"levels, no slash", func(in *ssm.PutParameterInput) { in.Name = aws.String("a/b") }, "ValidationException"},
		{"empty level", func(in *ssm.PutParameterInput) { in.Name = aws.String("/a//b") }, "ValidationException"},
		{"space", func(in *ssm.PutParameterInput) { in.Name = aws.String("/a b") }, "ValidationException"},
		{"long name", func(in *ssm.PutParameterInput) { in.Name = aws.String("/" + strings.Repeat("x", 1000)) }, "ValidationException"},
		{"aws", func(in *ssm.PutParameterInput) { in.Name = aws.String("/aws/x") }, "ValidationException"},
		{"ssm", func(in *ssm.PutParameterInput) { in.Name = aws.String("/SSMx") }, "ValidationException"},
	} {
		if got := code(put(test.change)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	out, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a/b")})
	if err != nil || out.Parameter.Version != 3 || time.Since(*out.Parameter.LastModifiedDate).Abs() > time.Minute ||
		*out.Parameter.ARN != "arn:aws:ssm:eu-central-1:123456789012:parameter/a/b" || *out.Parameter.DataType != "text" {
		t.Errorf("%+v %v", out, err)
	}
}

func TestSecureString(t *testing.T) {
	s := parameterstore.Start(t)
	c := client(s)
	for _, key := range []string{"", parameterstore.Key, "alias/aws/ssm"} {
		in := &ssm.PutParameterInput{Name: aws.String("/s"), Value: aws.String("hush"), Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true)}
		if key != "" {
			in.KeyId = &key
		}
		if _, err := c.PutParameter(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		for _, decrypt := range []bool{false, true} {
			out, err := c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/s"}, WithDecryption: &decrypt})
			if err != nil || (*out.Parameters[0].Value == "hush") != decrypt || !decrypt && strings.Contains(*out.Parameters[0].Value, "hush") {
				t.Errorf("%v: %+v %v", decrypt, out, err)
			}
		}
	}
}

func TestReading(t *testing.T) {
	s := parameterstore.Start(t)
	c := client(s)
	for i := range 12 {
		s.Set(fmt.Sprintf("/a/%02d", i), "v")
	}
	s.Set("/a/b/c", "v")
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("/a/%02d", i))
		}
		return names
	}
	for name, test := range map[string]struct {
		names []string
		want  string
	}{
		"none": {[]string{}, "ValidationException"}, "ten": {many(10), ""}, "eleven": {many(11), "ValidationException"},
		"twice": {[]string{"/a/01", "/a/01"}, "ValidationException"}, "bad": {[]string{"/a/01:1"}, "ValidationException"},
	} {
		_, err := c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: test.names})
		if got := code(err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		_, err = c.DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: slices.Repeat(test.names, 1)})
		if got := code(err); got != test.want {
			t.Errorf("delete %s: %q, want %q", name, got, test.want)
		}
		for i := range 12 {
			s.Set(fmt.Sprintf("/a/%02d", i), "v")
		}
	}
	out, err := c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/z", "/a/05", "/a/01", "/a/x"}})
	if err != nil || *out.Parameters[0].Name != "/a/01" || *out.Parameters[1].Name != "/a/05" || !slices.Equal(out.InvalidParameters, []string{"/a/x", "/z"}) {
		t.Errorf("%+v %v", out, err)
	}
	s.Fault(parameterstore.Faults{Reorder: true})
	orders := map[string]bool{}
	for range 50 {
		out, err := c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: many(3)})
		if err != nil {
			t.Fatal(err)
		}
		orders[*out.Parameters[0].Name] = true
	}
	if len(orders) != 3 {
		t.Errorf("orders: %v", orders)
	}

	for path, n := range map[string]int{"/a": 12, "/a/": 12, "/": 0, "/a/b": 1, "/none": 0} {
		for recursive, n := range map[bool]int{false: n, true: map[string]int{"/a": 13, "/a/": 13, "/": 13, "/a/b": 1}[path]} {
			in := &ssm.GetParametersByPathInput{Path: &path, Recursive: &recursive}
			found, pages := 0, 0
			for {
				out, err := c.GetParametersByPath(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				found += len(out.Parameters)
				if pages++; out.NextToken == nil {
					break
				}
				in.NextToken = out.NextToken
			}
			if found != n || n > 0 && pages < 2 {
				t.Errorf("%s %v: %d on %d pages, want %d", path, recursive, found, pages, n)
			}
		}
	}
	for name, in := range map[string]*ssm.GetParametersByPathInput{
		"page of 11": {Path: aws.String("/a"), MaxResults: aws.Int32(11)}, "page of 0": {Path: aws.String("/a"), MaxResults: aws.Int32(0)},
		"no slash": {Path: aws.String("a")}, "bad": {Path: aws.String("/a b")},
		"InvalidNextToken": {Path: aws.String("/a"), NextToken: aws.String("~")},
	} {
		want := "ValidationException"
		if in.NextToken != nil {
			want = name
		}
		if _, err := c.GetParametersByPath(t.Context(), in); code(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/none")}); code(err) != "ParameterNotFound" {
		t.Error(err)
	}
	for _, want := range []string{"", "ParameterNotFound"} {
		if _, err := c.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/a/b/c")}); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, call := range []func() error{
		func() error {
			_, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a b")})
			return err
		},
		func() error {
			_, err := c.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/a b")})
			return err
		},
	} {
		if err := call(); code(err) != "ValidationException" {
			t.Error(err)
		}
	}
}

// What is not signed, or not rightly, is refused.
func TestSignatures(t *testing.T) {
	s := parameterstore.Start(t)
	s.Set("/a", "v")
	for name, test := range map[string]struct {
		change func(*ssm.Options)
		want   string
	}{
		"rightly":      {func(*ssm.Options) {}, ""},
		"not":          {func(o *ssm.Options) { o.Credentials = aws.AnonymousCredentials{} }, "MissingAuthenticationTokenException"},
		"by a nobody":  {func(o *ssm.Options) { o.Credentials = credentials("AKIANOBODY", "twin") }, "UnrecognizedClientException"},
		"wrong secret": {func(o *ssm.Options) { o.Credentials = credentials("AKIATWIN", "x") }, "InvalidSignatureException"},
		"wrong region": {func(o *ssm.Options) { o.Region = "us-east-1" }, "InvalidSignatureException"},
	} {
		_, err := client(s, test.change).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")})
		if got := code(err); got != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	rewritten := func(rewrite func(*http.Request)) func(*ssm.Options) {
		return func(o *ssm.Options) {
			o.HTTPClient = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				rewrite(r)
				return http.DefaultTransport.RoundTrip(r)
			})}
		}
	}
	for name, test := range map[string]struct {
		rewrite func(*http.Request)
		want    string
	}{
		"body": {func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"Name":"/b"}`)), 13
		}, "InvalidSignatureException"},
		"date":   {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }, "InvalidSignatureException"},
		"scheme": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "IncompleteSignatureException"},
		"headers": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;", "", 1))
		}, "InvalidSignatureException"},
	} {
		_, err := client(s, rewritten(test.rewrite)).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")})
		if got := code(err); got != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	// Signed, but nothing that the twin does.
	target := rewritten(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if _, err := client(s, target).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")}); code(err) == "" {
		t.Error("another content type is served")
	}
	if _, err := client(s).DescribeParameters(t.Context(), &ssm.DescribeParametersInput{}); code(err) != "UnknownOperationException" {
		t.Error(err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFaults(t *testing.T) {
	s := parameterstore.Start(t)
	s.Set("/a", "v")
	c := client(s)
	get := func() string {
		_, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")})
		return code(err)
	}
	put := func(name string) string {
		_, err := c.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: aws.String("v"), Type: types.ParameterTypeString})
		return code(err)
	}
	expect := func(got ...string) func(want ...string) {
		return func(want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	s.Fault(parameterstore.Faults{Throttle: 1})
	expect(get(), get())("ThrottlingException", "")
	s.Fault(parameterstore.Faults{Throttle: parameterstore.All, Only: "PutParameter"})
	expect(get(), put("/b"), put("/b"))("", "ThrottlingException", "ThrottlingException")
	s.Fault(parameterstore.Faults{Lose: 1})
	expect(put("/c"), put("/c"))("no answer", "ParameterAlreadyExists")
	s.Fault(parameterstore.Faults{Truncate: 1})
	expect(get(), get())("no answer", "")
	s.Fault(parameterstore.Faults{Down: true})
	expect(get(), get())("no answer", "no answer")
	s.Fault(parameterstore.Faults{})
	s.Stop()
	s.Stop()
	expect(get())("no answer")
	s.Restart(t)
	expect(get())("")

	s.Fault(parameterstore.Faults{Rate: 2})
	throttled := 0
	for range 10 {
		if get() != "" {
			throttled++
		}
	}
	if throttled < 6 || throttled > 8 { // the second may turn meanwhile
		t.Errorf("%d of 10 calls throttled", throttled)
	}
	s.Fault(parameterstore.Faults{Delay: 50 * time.Millisecond})
	if began := time.Now(); get() != "" || time.Since(began) < 50*time.Millisecond {
		t.Error("no delay")
	}
	s.Fault(parameterstore.Faults{Writing: 500 * time.Millisecond})
	s.Reset()
	first := make(chan string)
	go func() { first <- put("/d") }()
	for s.Calls()["PutParameter"] == 0 {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	expect(put("/d"), <-first)("TooManyUpdates", "")

	s.Fault(parameterstore.Faults{})
	s.Reset()
	get()
	put("/a")
	if calls := s.Calls(); len(calls) != 2 || calls["GetParameter"] != 1 || calls["PutParameter"] != 1 {
		t.Errorf("%v", calls)
	}
	if value, ok := s.Get("/a"); value != "v" || !ok {
		t.Errorf("%q %v", value, ok)
	}
	s.Remove("/a")
	if _, ok := s.Get("/a"); ok || get() != "ParameterNotFound" {
		t.Error("not removed")
	}
	s.SetSecret("/s", "hush")
	if out, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/s")}); err != nil || *out.Parameter.Value == "hush" || out.Parameter.Type != types.ParameterTypeSecureString {
		t.Errorf("%+v %v", out, err)
	}
}

// What is no JSON is refused, whoever signed it.
func TestBadBodies(t *testing.T) {
	s := parameterstore.Start(t)
	for _, operation := range []string{"GetParameter", "GetParameters", "GetParametersByPath", "PutParameter", "DeleteParameter", "DeleteParameters"} {
		c := client(s, func(o *ssm.Options) {
			o.APIOptions = append(o.APIOptions, badBody)
		})
		var err error
		switch operation {
		case "GetParameter":
			_, err = c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a")})
		case "GetParameters":
			_, err = c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"/a"}})
		case "GetParametersByPath":
			_, err = c.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("/a")})
		case "PutParameter":
			_, err = c.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("v")})
		case "DeleteParameter":
			_, err = c.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/a")})
		case "DeleteParameters":
			_, err = c.DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: []string{"/a"}})
		}
		if code(err) != "SerializationException" {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// badBody has the SDK send, and sign, what is no JSON.
func badBody(stack *middleware.Stack) error {
	return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("bad body", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		req, err := in.Request.(*smithyhttp.Request).SetStream(strings.NewReader("{"))
		if err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, err
		}
		in.Request = req
		return next.HandleSerialize(ctx, in)
	}), middleware.After)
}

// Errors are spelled as recorded ones are: {"__type":"ParameterNotFound"}.
func TestSpelling(t *testing.T) {
	s := parameterstore.Start(t)
	resp, err := http.Post(s.URL, "application/x-amz-json-1.1", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" ||
		body["__type"] != "MissingAuthenticationTokenException" || body["message"] == "" {
		t.Errorf("%s %v %v", resp.Status, body, err)
	}
}

// An attempt that an SDK makes again is counted, and counted as that.
func TestRepeated(t *testing.T) {
	s := parameterstore.Start(t)
	s.Set("/a/b", "v")
	s.Fault(parameterstore.Faults{Throttle: 1})
	if _, err := client(s, func(o *ssm.Options) { o.Retryer = retry.NewStandard() }).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/a/b")}); err != nil {
		t.Fatal(err)
	}
	if calls, again := s.Calls()["GetParameter"], s.Repeated()["GetParameter"]; calls != 2 || again != 1 {
		t.Errorf("%d calls, %d repeated", calls, again)
	}
	s.Reset()
	if len(s.Repeated()) != 0 {
		t.Errorf("%v", s.Repeated())
	}
}
