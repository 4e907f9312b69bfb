package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	missing "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// flushCaches empties the authorizer caches of the REST APIs among "account/api-id" pairs, at a stage, so that what was
// answered before an activation is asked again (API Gateway API Reference, "FlushStageAuthorizersCache"). An HTTP API has
// no such call: its answers live for their TTL.
func flushCaches(ctx context.Context, apis, stage string) (flushed []string, err error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("the activation took effect; no cache was emptied: %w", err)
	}
	client := apigateway.NewFromConfig(cfg)
	var faults []error
	for pair := range strings.SplitSeq(apis, ",") {
		_, id, ok := strings.Cut(pair, "/")
		if !ok {
			continue
		}
		_, err := client.FlushStageAuthorizersCache(ctx, &apigateway.FlushStageAuthorizersCacheInput{RestApiId: &id, StageName: &stage})
		if _, none := errors.AsType[*missing.NotFoundException](err); none {
			continue // an HTTP API, or a REST API without this stage
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("empty the authorizer cache of %s: %w", id, err))
			continue
		}
		flushed = append(flushed, id)
	}
	if len(faults) > 0 {
		return flushed, fmt.Errorf("the activation took effect; %w", errors.Join(faults...))
	}
	if len(flushed) == 0 {
		return nil, fmt.Errorf("the activation took effect; no cache was emptied: GATEHOUSE_APIS %q has no REST API with stage %s", apis, stage)
	}
	return flushed, nil
}
