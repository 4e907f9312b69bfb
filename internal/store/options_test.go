package store

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
)

// asked notes what is asked, and answers nothing.
type asked struct{ url string }

func (a *asked) Do(r *http.Request) (*http.Response, error) {
	a.url = r.URL.String()
	return nil, errors.New("asked")
}

// The endpoint is the SDK's own choice where none is given.
func TestEndpoints(t *testing.T) {
	for more, want := range map[string]string{
		"":                                     "https://ssm.eu-central-1.amazonaws.com/",
		"AWS_USE_DUALSTACK_ENDPOINT=true":      "https://ssm.eu-central-1.api.aws/",
		"AWS_USE_FIPS_ENDPOINT=true":           "https://ssm-fips.eu-central-1.amazonaws.com/",
		"AWS_ENDPOINT_URL_SSM=https://vpce/x":  "https://vpce/x",
		"AWS_ENDPOINT_URL=http://127.0.0.1:80": "http://127.0.0.1:80/",
		"AWS_REGION=cn-north-1":                "https://ssm.cn-north-1.amazonaws.com.cn/",
	} {
		o, err := options([]string{"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", more})
		if err != nil {
			t.Fatal(err)
		}
		a := &asked{}
		o.HTTPClient, o.Retryer = a, aws.NopRetryer{}
		if _, err := ssm.New(o).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/x")}); err == nil || a.url != want {
			t.Errorf("%s: %q, want %q: %v", more, a.url, want, err)
		}
	}
}

// The waits have jitter, never exceed the longest, double, and are long at once after a throttled attempt.
func TestBackoff(t *testing.T) {
	r := Retryer(3, time.Second, "TooManyUpdates")
	throttled := &smithy.GenericAPIError{Code: "ThrottlingException"}
	for _, c := range []struct {
		attempt int
		err     error
		most    time.Duration
	}{
		{0, errors.New("x"), firstBackoff}, {1, errors.New("x"), firstBackoff}, {2, errors.New("x"), 2 * firstBackoff},
		{3, errors.New("x"), 4 * firstBackoff}, {4, errors.New("x"), time.Second}, {1000, errors.New("x"), time.Second},
		{1, throttled, time.Second}, {2, throttled, time.Second},
	} {
		var longest time.Duration
		for range 300 {
			d, err := r.RetryDelay(c.attempt, c.err)
			if err != nil || d < 0 || d >= c.most {
				t.Fatalf("%+v: %v %v", c, d, err)
			}
			longest = max(longest, d)
		}
		if longest < c.most*3/4 {
			t.Errorf("%+v: the longest of 300 is %v", c, longest)
		}
	}
	for err, again := range map[error]bool{
		throttled: true, &smithy.GenericAPIError{Code: "TooManyUpdates"}: true, &smithy.GenericAPIError{Code: "AccessDeniedException"}: false,
	} {
		if r.IsErrorRetryable(err) != again {
			t.Errorf("%v: retried %v", err, !again)
		}
	}
}
