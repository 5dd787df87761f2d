/** A client of a served provider, by the real gRPC library: what the CLI is, without its own logic. */

import { Client, type ClientReadableStream, credentials, type ServiceError } from '@grpc/grpc-js'
import { empty, healthResponse } from '../wire/go-plugin.ts'
import { type Decoded, decodeMessage, type Encodable, encodeMessage, type Message } from '../wire/protobuf.ts'
import { type CallName, providerCalls } from '../wire/tfplugin6.ts'

type Calls = typeof providerCalls
export type Tls = { readonly serverCertificatePem: string; readonly certificatePem: string; readonly keyPem: string }

export type TestClient = {
  readonly call: <N extends CallName>(
    name: N,
    request: Encodable<Calls[N]['request']>,
  ) => Promise<Decoded<Calls[N]['response']>>
  /** Whatever bytes, whatever they decode to. */
  readonly send: (name: CallName, bytes: Uint8Array) => Promise<unknown>
  readonly shutdown: () => Promise<unknown>
  readonly health: () => Promise<{ readonly status: number }>
  readonly openStdio: () => ClientReadableStream<unknown>
  readonly close: () => void
}

/** Every wait is bounded by it. */
const deadlineMilliseconds = 30_000

export function connect(socketPath: string, tls?: Tls): TestClient {
  const secured =
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(
          Buffer.from(tls.serverCertificatePem),
          Buffer.from(tls.keyPem),
          Buffer.from(tls.certificatePem),
        )
  const client = new Client(`unix:${socketPath}`, secured, {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.ssl_target_name_override': 'localhost',
  })
  const raw = (path: string, bytes: Uint8Array, response: Message) =>
    new Promise<unknown>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (value: Uint8Array) => Buffer.from(value),
        (answer: Buffer): unknown => decodeMessage(response, answer),
        bytes,
        { deadline: Date.now() + deadlineMilliseconds },
        (error: ServiceError | null, value?: unknown) => (error === null ? resolve(value) : reject(error)),
      )
    })
  const send = (name: CallName, bytes: Uint8Array) =>
    raw(`/tfplugin6.Provider/${name}`, bytes, providerCalls[name].response)
  return {
    send,
    call: async (name, request) => {
      const bytes = encodeMessage(providerCalls[name].request as Message, request as Encodable<Message>)
      return (await send(name, bytes)) as never
    },
    shutdown: () => raw('/plugin.GRPCController/Shutdown', new Uint8Array(), empty),
    health: async () =>
      (await raw('/grpc.health.v1.Health/Check', new Uint8Array(), healthResponse)) as { status: number },
    openStdio: () =>
      client.makeServerStreamRequest(
        '/plugin.GRPCStdio/StreamStdio',
        () => Buffer.alloc(0),
        () => ({}),
        {},
      ),
    close: () => client.close(),
  }
}
