/**
 * A session with an sshd: programs run by it, and sockets of its machine spoken to. The host key is known beforehand, and
 * another one is never spoken to; who comes in shows a key, never a password. Decides nothing.
 */

import { spawn } from 'node:child_process'
import { Duplex } from 'node:stream'
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2'
import type { AskHaproxy } from './haproxy-socket.ts'
import type { CommandResult, RunCommand } from './run-command.ts'

export interface SshSession {
  /** As the agent's own: a program that fails, or a session that ends meanwhile, is a value. */
  readonly run: RunCommand
  readonly ask: AskHaproxy
  close(): void
}

export interface SshDoor {
  /** What the other end is reached by. */
  readonly connect: () => Duplex
  readonly user: string
  /** As OpenSSH writes it. */
  readonly privateKey: string
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string
}

/** One who boots is called again, rather than waited for with ever longer pauses. */
const connectSeconds = 1
const readyMilliseconds = 15_000
/** Guests are slow where the processor is emulated. */
const commandMilliseconds = 20_000
const keepaliveMilliseconds = 2000
const keepalivesMissedMaximum = 3

/** Rejects where nobody answers, or it is somebody else. */
export function openSshSession(door: SshDoor, onEnd: () => void): Promise<SshSession> {
  const { promise, resolve, reject } = Promise.withResolvers<SshSession>()
  const client = new Client()
  const isKnown = (key: Buffer) => key.toString('base64') === door.hostKey.split(' ')[1]
  let refused: string | undefined
  const settings: ConnectConfig = {
    sock: door.connect(),
    username: door.user,
    privateKey: door.privateKey,
    readyTimeout: readyMilliseconds,
    keepaliveInterval: keepaliveMilliseconds,
    keepaliveCountMax: keepalivesMissedMaximum,
    algorithms: { serverHostKey: ['ssh-ed25519'] },
    hostVerifier: (key: Buffer) => {
      if (!isKnown(key)) refused = `its host key is ssh-ed25519 ${key.toString('base64')}, not the one that is known`
      return refused === undefined
    },
  }
  client.once('ready', () => {
    const waiting = new Waiting()
    client.once('close', () => {
      waiting.endAll()
      onEnd()
    })
    resolve({ run: runBy(client, waiting), ask: askBy(client, waiting), close: () => client.end() })
  })
  client.on('error', (error) => {
    reject(new Error(refused ?? error.message))
  })
  client.once('close', () => {
    reject(new Error(refused ?? 'it closed the connection'))
  })
  client.connect(settings)
  return promise
}

/** A connection that is made within a network namespace of this host. */
export function connectWithin(namespace: string, address: string, port: number): Duplex {
  const connect = ['busybox', 'nc', '-w', `${connectSeconds}`, address, `${port}`]
  const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...connect], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const stream = new Duplex({
    read: () => child.stdout.resume(),
    write: (bytes: Buffer, _encoding, done) => child.stdin.write(bytes, done),
    final: (done) => child.stdin.end(done),
    destroy: (error, done) => {
      child.kill()
      done(error)
    },
  })
  child.stdout.on('data', (bytes: Buffer) => {
    if (!stream.push(bytes)) child.stdout.pause()
  })
  child.stdout.on('end', () => stream.push(null))
  child.stdin.on('error', (error) => stream.destroy(error))
  child.once('error', (error) => stream.destroy(error))
  return stream
}

/** An sshd hands a command to its user's shell, so that each word is quoted for it. */
export const quoteForShell = (argv: readonly string[]) =>
  argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')

/** What is under way in a session; all of it ends with the session, and each in time. */
class Waiting {
  private readonly ends = new Set<() => void>()

  answer<T>(milliseconds: number, begin: (settle: (value: T) => void) => void, otherwise: (words: string) => T) {
    return new Promise<T>((resolve) => {
      const settle = (value: T) => {
        clearTimeout(timer)
        this.ends.delete(end)
        resolve(value)
      }
      const end = () => settle(otherwise('the session has ended'))
      const timer = setTimeout(() => settle(otherwise(`no answer in ${milliseconds} ms`)), milliseconds)
      this.ends.add(end)
      try {
        begin(settle)
      } catch (error) {
        settle(otherwise(String(error)))
      }
    })
  }

  endAll(): void {
    for (const end of [...this.ends]) end()
  }
}

const runBy =
  (client: Client, waiting: Waiting): RunCommand =>
  (argv, options = {}) =>
    waiting.answer<CommandResult>(
      options.timeoutMilliseconds ?? commandMilliseconds,
      (settle) => {
        client.exec(quoteForShell(argv), (error, channel) => {
          if (error) settle(failed(argv, error.message))
          else collect(channel, options.input, settle)
        })
      },
      (words) => failed(argv, words),
    )

const failed = (argv: readonly string[], words: string): CommandResult => ({
  exitCode: null,
  stdout: '',
  stderr: `${argv[0]}: ${words}`,
})

function collect(channel: ClientChannel, input: string | undefined, settle: (result: CommandResult) => void): void {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  let exitCode: number | null = null
  channel.on('data', (bytes: Buffer) => stdout.push(bytes))
  channel.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
  channel.on('exit', (code: number | null) => {
    exitCode = code
  })
  channel.on('close', () => {
    settle({ exitCode, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
  })
  channel.end(input ?? '')
}

const askBy =
  (client: Client, waiting: Waiting): AskHaproxy =>
  async (socket, command) => {
    const answer = await waiting.answer<string | Error>(
      commandMilliseconds,
      (settle) => {
        client.openssh_forwardOutStreamLocal(socket, (error, channel) => {
          if (error) {
            settle(error)
            return
          }
          const said: Buffer[] = []
          channel.on('data', (bytes: Buffer) => said.push(bytes))
          channel.on('close', () => settle(Buffer.concat(said).toString()))
          channel.end(`${command}\n`)
        })
      },
      (words) => new Error(`${socket}: ${words}`),
    )
    if (typeof answer === 'string') return answer
    throw answer
  }
