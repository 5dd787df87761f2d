/** The gRPC server: Terraform's service, and the services of go-plugin. It alone knows the gRPC library. */

import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { ProviderService } from '../calls/provider-service.ts'
import { empty, healthResponse, serving } from '../wire/go-plugin.ts'
import { decodeMessage, encodeMessage, type Message } from '../wire/protobuf.ts'
import { type CallName, providerCalls } from '../wire/tfplugin6.ts'
import type { Certificate } from './certificate.ts'

export type Listening = {
  /** Lets calls that run finish for a moment, then ends what is left. */
  readonly close: (graceMilliseconds: number) => Promise<void>
}

export type GrpcOptions = {
  readonly socketPath: string
  readonly service: ProviderService
  /** Null when whoever connects is not asked who it is: a debugged provider. */
  readonly mutualTls: { readonly certificate: Certificate; readonly clientCertificatePem: string } | null
  /** The CLI asked to end. */
  readonly onShutdown: () => void
}

type Method = ServiceDefinition[string]

export async function listen({ socketPath, service, mutualTls, onShutdown }: GrpcOptions): Promise<Listening> {
  // Schemas and states may be as large as they are: the CLI's own limit is what counts.
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  addProvider(server, service)
  const endStreams = addPluginServices(server, onShutdown)
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, credentials(mutualTls), (error) => (error ? reject(error) : resolve()))
  })
  return {
    close: (graceMilliseconds) => {
      endStreams()
      return close(server, graceMilliseconds)
    },
  }
}

const credentials = (mutualTls: GrpcOptions['mutualTls']) =>
  mutualTls === null
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(
        Buffer.from(mutualTls.clientCertificatePem),
        [
          {
            private_key: Buffer.from(mutualTls.certificate.keyPem),
            cert_chain: Buffer.from(mutualTls.certificate.pem),
          },
        ],
        true,
      )

function addProvider(server: Server, service: ProviderService): void {
  const definition: Record<string, Method> = {}
  const handlers: UntypedServiceImplementation = {}
  for (const name of Object.keys(providerCalls) as CallName[]) {
    const { request, response } = providerCalls[name]
    definition[name] = unary(`/tfplugin6.Provider/${name}`, request, response)
    handlers[name] = respond(service[name] as (request: unknown) => Promise<object>)
  }
  server.addService(definition, handlers)
}

const respond =
  (answer: (request: unknown) => Promise<object>): handleUnaryCall<unknown, object> =>
  (call, callback) => {
    answer(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => callback({ code: status.INTERNAL, details: String(error) }),
    )
  }

const unary = (path: string, request: Message, response: Message): Method => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: object) => Buffer.from(encodeMessage(request, value)),
  requestDeserialize: (bytes: Buffer): unknown => decodeMessage(request, bytes),
  responseSerialize: (value: object) => Buffer.from(encodeMessage(response, value)),
  responseDeserialize: (bytes: Buffer): unknown => decodeMessage(response, bytes),
})

type Stream = { readonly end: () => void; readonly on: (event: 'cancelled', listener: () => void) => void }

/** Answers with what ends the streams that are opened and stay silent: output is real output, and nothing is brokered. */
function addPluginServices(server: Server, onShutdown: () => void): () => void {
  const streams = new Set<Stream>()
  const silent: UntypedHandleCall = (call: Stream) => {
    streams.add(call)
    call.on('cancelled', () => streams.delete(call))
  }
  server.addService(
    { Shutdown: unary('/plugin.GRPCController/Shutdown', empty, empty) },
    {
      Shutdown: respond(async () => {
        onShutdown()
        return {}
      }),
    },
  )
  const stdio = unary('/plugin.GRPCStdio/StreamStdio', empty, empty)
  server.addService({ StreamStdio: { ...stdio, responseStream: true } }, { StreamStdio: silent })
  const broker = unary('/plugin.GRPCBroker/StartStream', empty, empty)
  server.addService({ StartStream: { ...broker, requestStream: true, responseStream: true } }, { StartStream: silent })
  server.addService(
    { Check: unary('/grpc.health.v1.Health/Check', empty, healthResponse) },
    { Check: respond(async () => ({ status: serving })) },
  )
  return () => {
    for (const stream of streams) stream.end()
  }
}

/** Calls that run may finish until the time is over. */
function close(server: Server, graceMilliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMilliseconds)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
