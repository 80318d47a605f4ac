// Command bare is the smallest Lambda function: what any start is held against.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() {}) }
