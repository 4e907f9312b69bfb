// Every function of both services under serverless-offline: it hands the event to the invoke endpoint that the test
// serves, where the built executable answers. There an error of the function's is a 200 with errorType, as AWS's runtime
// interface emulator has it; here it is thrown, for serverless-offline knows a failure by nothing else.
export async function handler(event, context) {
  const url = `${process.env.INVOKE}/2015-03-31/functions/${context.functionName}/invocations`
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(event) })
  const answer = await response.json()
  if (answer?.errorType) throw Object.assign(new Error(answer.errorMessage), { name: answer.errorType })
  return answer
}
