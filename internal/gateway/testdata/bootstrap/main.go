// The function of the gateway's tests: it does what its event asks for. An instruction stands anywhere in the event, as
// "do:NAME=ARGUMENT" with the argument in base64 (RFC 4648, section 5, unpadded); the variable MARK changes "do".
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	fmt.Fprintln(os.Stderr, "starting")
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Fprint(os.Stderr, "no setting X")
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "error":
		post("init/error", `{"errorType":"Init.Bad","errorMessage":"no setting X"}`)
		os.Exit(1)
	}
	lambda.Start(handle)
}

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	mark := os.Getenv("MARK")
	if mark == "" {
		mark = "do"
	}
	name, argument := "", ""
	if m := regexp.MustCompile(mark + `:([a-z]+)(?:=([A-Za-z0-9_-]*))?`).FindSubmatch(event); m != nil {
		b, err := base64.RawURLEncoding.DecodeString(string(m[2]))
		if err != nil {
			return nil, err
		}
		name, argument = string(m[1]), string(b)
	}
	switch name {
	case "answer":
		return strings.NewReader(argument), nil
	case "error":
		return nil, errors.New(argument)
	case "panic":
		panic(argument)
	case "exit":
		code, err := strconv.Atoi(argument)
		if err != nil {
			return nil, err
		}
		os.Exit(code)
	case "hang":
		time.Sleep(time.Hour)
	case "nap": // then say who did
		d, err := time.ParseDuration(argument)
		time.Sleep(d)
		return map[string]any{"statusCode": 200, "body": strconv.Itoa(os.Getpid())}, err
	case "wait": // until somebody writes to this pipe
		b, err := os.ReadFile(argument)
		return bytes.NewReader(b), err
	case "pid":
		return os.Getpid(), nil
	case "environment":
		return os.Environ(), nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "left": time.Until(deadline).Seconds(), "trace": os.Getenv("_X_AMZN_TRACE_ID")}, nil
	case "large":
		size, err := strconv.Atoi(argument)
		return bytes.NewReader(bytes.Repeat([]byte{' '}, size)), err
	case "broken":
		return io.MultiReader(strings.NewReader(`{"statusCode":200`), failing{}), nil
	case "stall": // an answer that begins and never ends
		lc, _ := lambdacontext.FromContext(ctx)
		conn, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(conn, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nx", lc.AwsRequestID)
		time.Sleep(time.Hour)
	case "linger": // it answers and never asks again
		lc, _ := lambdacontext.FromContext(ctx)
		post("invocation/"+lc.AwsRequestID+"/response", `"answered"`)
		time.Sleep(time.Hour)
	case "print":
		fmt.Print(argument)
	case "misuse":
		var statuses []int
		for _, path := range []string{"invocation/unknown/response", "invocation/unknown/error", "invocation"} {
			statuses = append(statuses, post(path, "{}"))
		}
		return statuses, nil
	case "garbled":
		lc, _ := lambdacontext.FromContext(ctx)
		return post("invocation/"+lc.AwsRequestID+"/error", "no JSON"), nil
	}
	if os.Getenv("ANSWER") != "" {
		return strings.NewReader(os.Getenv("ANSWER")), nil
	}
	if os.Getenv("AUTHORIZER") != "" {
		return allow(event)
	}
	return map[string]any{"statusCode": 200, "body": string(event), "headers": map[string]string{"Content-Type": "application/json"}}, nil
}

// allow lets the one request in and passes its event on.
func allow(event []byte) (any, error) {
	var e struct{ MethodArn, RouteArn string }
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	return map[string]any{
		"principalId": "somebody",
		"policyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": e.MethodArn + e.RouteArn},
		}},
		"context": map[string]any{"event": string(event), "number": 1.50, "yes": true},
	}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the source dried up") }

func post(path, body string) int {
	resp, err := http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
