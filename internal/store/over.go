package store

import "github.com/aws/aws-sdk-go-v2/service/ssm"

// Over reads Parameter Store by a client that somebody else configured, as the command line does.
func Over(a Address, client *ssm.Client) Reader {
	return parameters{a, client.GetParameter, client.GetParameters}
}
