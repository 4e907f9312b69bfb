package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// The most that is waited before the second attempt. It doubles from there, but not after a throttled one: then it is all
// there is at once, since the account's 40 calls a second are shared by everybody.
const firstBackoff = 200 * time.Millisecond

// Retryer is the SDK's standard one, with what it lacks: jitter from nothing to the whole wait whatever the longest wait
// is (the SDK's has none at that length), an answer that broke off, and further error codes to try again after.
func Retryer(attempts int, longest time.Duration, codes ...string) aws.Retryer {
	also := map[string]struct{}{}
	for _, code := range codes {
		also[code] = struct{}{}
	}
	throttled := retry.IsErrorThrottles(retry.DefaultThrottles)
	return retryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: also},
			retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				if brokenOff(err) {
					return aws.TrueTernary
				}
				return aws.UnknownTernary
			}))
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			most := min(firstBackoff<<max(min(attempt-1, 10), 0), longest)
			if throttled.IsErrorThrottle(err) == aws.TrueTernary {
				most = longest
			}
			return rand.N(most), nil
		})
	})}
}

// retryer notes why an attempt failed before the next one: where the deadline ends the wait, the SDK says only that.
type retryer struct{ *retry.Standard }

type causeKey struct{}

func (r retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	if cause, ok := ctx.Value(causeKey{}).(*error); ok {
		*cause = err
	}
	return r.Standard.GetRetryToken(ctx, err)
}

// Remember gives a context for one call, and what adds to the call's error why the attempt before the last one failed,
// where the context's end hides it.
func Remember(ctx context.Context) (context.Context, func(error) error) {
	var cause error
	return context.WithValue(ctx, causeKey{}, &cause), func(err error) error {
		if err != nil && cause != nil && ctx.Err() != nil {
			return fmt.Errorf("%w; the attempt before: %w", err, cause)
		}
		return err
	}
}
