#!/usr/bin/env bun
/** The `sluice-agent` command: runs the agent, joins a host, or is one of the lab's workloads. The only place that exits. */

import { readFileSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import pino from 'pino'
import packageJson from '../package.json'
import { startBus } from './bus.ts'
import { defaultConfigurationFolder, readCredentials, readSettings } from './configuration.ts'
import type { AgentCollectdSettings } from './contract/collectd/settings.ts'
import type { HostReport } from './contract/host-report.ts'
import { renderTypesDb } from './contract/point-types.ts'
import { reportIntervalSeconds } from './contract/subjects.ts'
import { joinHost } from './enrolment/join.ts'
import { parseInstructions, readInstructions, readInstructionsFile } from './instructions-store.ts'
import { renderOwnCollectdConfig } from './metrics/collectd-config.ts'
import { runCollectdExec } from './metrics/collectd-exec.ts'
import { defaultPointsUrl, readCollectdSettings } from './metrics/collectd-receiver.ts'
import { agentUnit, installAgentUnit } from './operations/agent-unit.ts'
import { executeFileOperation } from './operations/files.ts'
import { type Agent, startAgent } from './run-agent.ts'
import { startEchoWorkload } from './workload/echo-workload.ts'
import { startWebWorkload } from './workload/web-workload.ts'

interface RunOptions {
  readonly configuration: string
  readonly instructions?: string
  readonly report?: string
  readonly once: boolean
}

const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime })
const log = (fields: Record<string, unknown>, message: string) => {
  if ('error' in fields || 'failure' in fields) logger.warn(fields, message)
  else logger.info(fields, message)
}

/** How this program is started again: the compiled binary by itself, the script by Bun. */
const agentArgv = Bun.main.startsWith('/$bunfs/') ? [process.execPath] : [process.execPath, Bun.main]

function run({ configuration, instructions: file, report: reportFile, once }: RunOptions): void {
  const settings = readSettings(configuration)
  const kept = file === undefined ? readInstructions(settings.stateFolder) : readInstructionsFile(file)
  if (kept.kind === 'unreadable') log({ error: kept.reason }, 'the instructions can not be used')
  const bus =
    file === undefined
      ? startBus({
          host: settings.host,
          servers: settings.natsServers,
          credentials: readCredentials(configuration),
          onInstructions: (text) => {
            instruct(agent, settings.host, text)
          },
          log,
        })
      : undefined
  const sendReport = (report: HostReport) => {
    bus?.sendReport(report)
    if (reportFile !== undefined) {
      executeFileOperation({ kind: 'writeFile', path: reportFile, content: JSON.stringify(report) })
    }
    if (once && isOver(report)) {
      process.stdout.write(`${JSON.stringify(report)}\n`)
      process.exit(everyObject(report).every(({ status }) => status === 'converged') ? 0 : 1)
    }
  }
  const initial = kept.kind === 'kept' ? kept.instructions : undefined
  const agent = startAgent({
    settings,
    collectd: readCollectd(configuration),
    agentArgv,
    initial,
    sendReport,
    sendPoints: bus?.sendPoints,
    publishLogs: bus?.publishLogs,
    log,
  })
  log({ host: settings.host, generation: initial?.generation ?? 0 }, 'agent runs')
  if (file !== undefined) followFile(agent, settings.host, file)

  const end = () => {
    void Promise.all([agent.stop(), bus?.close()]).then(() => process.exit(0))
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}

function instruct(agent: Agent, host: string, text: string): void {
  const parsed = parseInstructions(text)
  if (typeof parsed === 'string') {
    log({ error: parsed }, 'instructions refused: they are not as the contract says')
    return
  }
  if (parsed.host !== host) {
    log({ error: `they are for ${parsed.host}` }, 'instructions refused: this is another host')
    return
  }
  const outcome = agent.loop.instruct(parsed)
  log({ generation: parsed.generation, outcome }, 'instructions received')
}

async function join(
  controllerUrl: string,
  token: string,
  options: { uplink: string; underlay: string; configuration: string; state: string; run: string },
): Promise<void> {
  const host = await joinHost({
    userId: process.getuid?.() ?? 0,
    controllerUrl,
    token,
    uplinkDevice: options.uplink,
    underlayDevice: options.underlay,
    configurationFolder: options.configuration,
    stateFolder: options.state,
    runFolder: options.run,
  })
  const runArgv = [...agentArgv, 'run', '--configuration', options.configuration]
  const isInstalled = await installAgentUnit(runArgv)
  const next = isInstalled
    ? `its agent runs as ${agentUnit} and will at each boot`
    : `there is no systemd here: have '${runArgv.join(' ')}' started at each boot, and again whenever it ends`
  process.stdout.write(`this host has joined as ${host}; ${next}\n`)
}

/** Ends when collectd does, which closes the other end. */
async function feedCollectd({ url }: { url: string }): Promise<void> {
  await runCollectdExec({
    url,
    write: (lines) =>
      new Promise((resolve, reject) => {
        process.stdout.write(lines, (error) => (error ? reject(error) : resolve()))
      }),
    sleep: (milliseconds) => Bun.sleep(milliseconds),
    log: (message) => process.stderr.write(`${message}\n`),
  })
}

/** What can't be used must not keep the host from being run. */
function readCollectd(folder: string): AgentCollectdSettings | undefined {
  try {
    return readCollectdSettings(folder)
  } catch (error) {
    log({ error: String(error) }, 'no collectd can send to this agent')
    return undefined
  }
}

/** For a run without a controller: the file is the controller. It should be replaced whole, by a rename. */
function followFile(agent: Agent, host: string, path: string): void {
  let before = readOr('', path)
  const look = () => {
    const text = readOr('', path)
    if (text === '' || text === before) return
    before = text
    instruct(agent, host, text)
  }
  watch(dirname(path), (_, name) => {
    if (name === basename(path)) look()
  })
  // A swarm of events can come as one, told before the last of them happened.
  setInterval(look, reportIntervalSeconds * 1000)
}

function readOr(fallback: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return fallback
  }
}

/** Every object has come to one end or the other. */
function isOver(report: HostReport): boolean {
  return report.generation > 0 && everyObject(report).every(({ status }) => status !== 'applying')
}

const everyObject = ({ networks, machines, instances }: HostReport) => [...networks, ...machines, ...instances]

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port
  throw new InvalidArgumentError('It must be a whole number from 1 to 65535.')
}

const program = new Command('sluice-agent')
  .description('Makes one host match what the controller wants of it, and says what is so')
  .version(packageJson.version)

program
  .command('run')
  .description('run the agent of this host')
  .option('--configuration <folder>', 'where agent.json lies', defaultConfigurationFolder)
  .option('--instructions <file>', 'follow this file instead of a controller')
  .option('--report <file>', 'write each report to this file as well')
  .option('--once', 'print the first report in which everything has been tried, and end; 0 if all has converged', false)
  .action(run)

program
  .command('join')
  .description('join this host to a controller, with the token that `sluice host add` printed')
  .argument('<url>', "the controller's API, as http://198.18.0.254:7480")
  .argument('<token>', 'sluice-join.…')
  .requiredOption('--uplink <device>', 'the device that load balancers are reached by')
  .requiredOption('--underlay <device>', 'the device that joins the hosts')
  .option('--configuration <folder>', 'where the agent keeps its settings and its key', defaultConfigurationFolder)
  .option('--state <folder>', 'where it keeps its instructions', '/var/lib/sluice-agent')
  .option('--run <folder>', 'where it keeps sockets and rendered configurations', '/run/sluice-agent')
  .action(join)

program
  .command('collectd-exec')
  .description("write this host's points as collectd's exec plugin reads them, for as long as it does")
  .option('--url <url>', "where the agent's points are: at httpListen of its collectd.json", defaultPointsUrl)
  .action(feedCollectd)

program
  .command('collectd-config')
  .description('print the config of a collectd that measures this host for its agent')
  .option('--configuration <folder>', 'where agent.json and collectd.json lie', defaultConfigurationFolder)
  .option('--sources <plugins...>', "collectd's plugins that measure", ['cpu', 'load', 'memory', 'df', 'interface'])
  .action(({ configuration: folder, sources }: { configuration: string; sources: readonly string[] }) => {
    const { host } = readSettings(folder)
    process.stdout.write(renderOwnCollectdConfig({ host, folder, settings: readCollectdSettings(folder), sources }))
  })

program
  .command('collectd-types')
  .description("print the types.db that makes a collectd understand this host's points")
  .action(() => {
    process.stdout.write(renderTypesDb())
  })

const workload = program.command('workload').description("one of the lab's built-in workloads")

workload
  .command('web')
  .description(
    'say who answers; /healthz, /count and /control?fail=STATUS|none&requests=N&delayMilliseconds=MS&close=true',
  )
  .requiredOption('--port <port>', 'TCP port', parsePort)
  .requiredOption('--name <name>', 'whose answer it is')
  .requiredOption('--host <host>', 'where it runs')
  .action((options: { port: number; name: string; host: string }) => {
    startWebWorkload(options)
  })

workload
  .command('echo')
  .description('give back what comes in by TCP')
  .requiredOption('--port <port>', 'TCP port', parsePort)
  .option('--name <name>', 'whose answer it is')
  .option('--host <host>', 'where it runs')
  .action((options: { port: number }) => {
    startEchoWorkload(options)
  })

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
