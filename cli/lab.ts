/** `sluice lab`: brings a lab up and down, looks into it, and tries faults. Only calls lab/. */

import { Command, Option } from 'commander'
import {
  adminTokenFile,
  apiUrl,
  bootController,
  bootHostAgain,
  bootNameServer,
  bothSegments,
  bringLabUp,
  changeLab,
  cutHost,
  enterArgv,
  findControl,
  healHost,
  hostsDefault,
  killController,
  killControlProgram,
  killHost,
  killHostAgent,
  killNameServer,
  type LabStatus,
  labNameDefault,
  labSettings,
  type OpenLab,
  observeLab,
  openLab,
  type Progress,
  readAdminToken,
  type Segment,
  startControlProgram,
  startHostAgent,
  takeLabDown,
} from '../lab/lab.ts'
import { duration, json, table } from './output.ts'

type NameOption = { readonly name: string }

export function labCommand(): Command {
  const lab = new Command('lab')
    .description('a rack on this machine: hosts made of namespaces, a client, a controller')
    .enablePositionalOptions()
  for (const command of [up(), down(), status(), environment(), exec(), cut(), heal(), kill(), boot()]) {
    lab.addCommand(
      command.addOption(new Option('--name <name>', "the lab's name").default(labNameDefault).env('SLUICE_LAB')),
    )
  }
  return lab
}

type UpOptions = {
  readonly hosts: number
  readonly nats: number
  readonly controllers: number
  readonly collectd: boolean
  readonly bare: boolean
}

function up(): Command {
  return new Command('up')
    .description('start it; a lab that runs is left as it is')
    .option('--hosts <number>', 'how many hosts', Number, hostsDefault)
    .option('--nats <number>', 'how many NATS servers: 3 or 5 for a cluster that survives losses', Number, 1)
    .option('--controllers <number>', 'how many controllers, behind one address', Number, 1)
    .option('--collectd', 'a real collectd on each host, which sends to its agent', false)
    .option('--bare', 'namespaces and links alone, without controller and agents', false)
    .action(async (options: NameOption & UpOptions) => {
      const begun = performance.now()
      const settings = labSettings(options)
      const result = await bringLabUp(settings, printedProgress())
      if (result.kind === 'wasRunning') {
        console.log(`lab "${settings.name}" runs already; nothing was changed`)
        for (const line of remarks(observeLab(settings), options.hosts)) console.log(line)
        return
      }
      console.log(`lab "${settings.name}" is up after ${duration(performance.now() - begun)}`)
      if (!settings.bare) console.log(`controller ${apiUrl(settings)}, token in ${adminTokenFile(settings)}`)
    })
}

function remarks(lab: LabStatus, hostsAsked: number): string[] {
  const off = lab.hosts.filter((host) => host.status === 'off')
  return [
    ...off.map((host) => `${host.name} is off; \`sluice lab boot ${host.name}\` powers it on`),
    ...(lab.controller?.status === 'off' ? ['the controller is off; `sluice lab boot controller` starts it'] : []),
    ...(lab.names?.status === 'off' ? ['the name server is off; `sluice lab boot names` starts it'] : []),
    ...(lab.hosts.length === hostsAsked
      ? []
      : [`it has ${lab.hosts.length} hosts, not ${hostsAsked}; for another number, \`sluice lab down\` first`]),
  ]
}

function down(): Command {
  return new Command('down')
    .description('end it; nothing of it is left on the machine')
    .action(async (options: NameOption) => {
      const begun = performance.now()
      const wasThere = await takeLabDown(labSettings(options))
      const took = duration(performance.now() - begun)
      console.log(wasThere ? `lab "${options.name}" is gone after ${took}` : `there is no lab "${options.name}"`)
    })
}

function status(): Command {
  return new Command('status')
    .description('what of it runs; exit code 1 unless it runs')
    .option('--json', 'for programs', false)
    .action((options: NameOption & { readonly json: boolean }) => {
      const lab = observeLab(labSettings(options))
      console.log(options.json ? json(lab) : describeLab(lab))
      if (lab.status !== 'running') process.exitCode = 1
    })
}

function describeLab(lab: LabStatus): string {
  if (lab.status === 'absent') return `lab "${lab.name}" does not run; \`sluice lab up\` starts it`
  const rows = lab.hosts.map((host) => [
    host.name,
    host.status,
    host.underlayAddress,
    host.cut.length === 0 ? 'whole' : `${host.cut.join(' and ')} cut`,
    host.pid === null ? '-' : String(host.pid),
  ])
  const remedy = lab.status === 'broken' ? '; `sluice lab up` starts it anew, `sluice lab down` removes it' : ''
  return [
    `lab "${lab.name}": ${lab.status}${remedy}`,
    lab.controller === null ? 'no controller (bare)' : `controller: ${lab.controller.status}, ${lab.controller.url}`,
    ...(lab.names === null ? [] : [`names: ${lab.names.status}, ${lab.names.zone} at ${lab.names.address}`]),
    `client: ${lab.client.status}, ${lab.client.address}, by the router to the uplink ${lab.uplink.cidr}`,
    ...lab.controls.map(({ name, address, node, controller, isCut }) => {
      const parts = [node === null ? '' : `NATS ${node}`, controller === null ? '' : `controller ${controller}`]
      return `${name}: ${address}, ${parts.filter((part) => part !== '').join(', ')}${isCut ? ', cut' : ''}`
    }),
    '',
    table(['host', 'power', 'underlay', 'links', 'PID 1'], rows),
  ].join('\n')
}

function environment(): Command {
  return new Command('env')
    .description('print SLUICE_ADDR=… and SLUICE_TOKEN=…, for a shell to eval')
    .action((options: NameOption) => {
      const { settings, state } = openLab(labSettings(options))
      if (state.bare) throw new Error(`lab "${settings.name}" was started with --bare: it has no controller`)
      console.log(`SLUICE_ADDR=${apiUrl(settings)}\nSLUICE_TOKEN=${readAdminToken(settings)}`)
    })
}

function exec(): Command {
  return new Command('exec')
    .description('run a command (a shell when none is given) on a host, the client, the router or the name server')
    .argument('<where>', 'host-1, host-2, …, client, router or names')
    .argument('[command...]', 'after --, so that its options are its own')
    .passThroughOptions()
    .action(async (where: string, given: readonly string[], options: NameOption) => {
      const lab = openLab(labSettings(options))
      // Options are passed through from the first argument on, and the `--` that may precede them comes along.
      const command = given[0] === '--' ? given.slice(1) : given
      const argv = enterArgv(lab, where, command.length === 0 ? ['bash'] : command, process.cwd())
      process.exitCode = await runInForeground(argv)
    })
}

/** The terminal is the child's: what it sends to the foreground, Ctrl-C above all, is the child's to answer. */
async function runInForeground(argv: readonly string[]): Promise<number> {
  const ignore = () => {}
  const signals = ['SIGINT', 'SIGQUIT', 'SIGTSTP'] as const
  for (const signal of signals) process.on(signal, ignore)
  const child = Bun.spawn([...argv], { stdio: ['inherit', 'inherit', 'inherit'] })
  const forward = () => child.kill('SIGTERM')
  process.on('SIGTERM', forward)
  const exitCode = await child.exited
  for (const signal of signals) process.off(signal, ignore)
  process.off('SIGTERM', forward)
  return exitCode
}

type SegmentOptions = NameOption & { readonly uplink: boolean; readonly underlay: boolean }

/** Neither option selects both. */
function segmentsOf(options: SegmentOptions): readonly Segment[] {
  return options.uplink === options.underlay ? bothSegments : [options.uplink ? 'uplink' : 'underlay']
}

const withSegments = (command: Command) =>
  command
    .argument('<host>', 'as host-1')
    .option('--uplink', 'its uplink only', false)
    .option('--underlay', 'its underlay only', false)

function cut(): Command {
  return withSegments(new Command('cut').description("cut a host's links")).action(
    async (host: string, options: SegmentOptions) => {
      await changeLab(labSettings(options), (lab) => cutHost(lab, host, segmentsOf(options)))
      console.log(`${segmentsOf(options).join(' and ')} of ${host} cut; \`sluice lab heal ${host}\` puts it right`)
    },
  )
}

function heal(): Command {
  return withSegments(new Command('heal').description("heal a host's links")).action(
    async (host: string, options: SegmentOptions) => {
      await changeLab(labSettings(options), (lab) => healHost(lab, host, segmentsOf(options)))
      console.log(`${segmentsOf(options).join(' and ')} of ${host} healed`)
    },
  )
}

type PowerOptions = NameOption & { readonly agent: boolean }

function kill(): Command {
  return new Command('kill')
    .description("pull a host's plug; or kill the controller with its store, the name server, or a host's agent")
    .argument('<what>', 'host-1, host-2, …, controller or names; of a cluster controller-1, node-1, …')
    .option('--agent', "only the host's agent, and what would start it again", false)
    .action(async (what: string, options: PowerOptions) => {
      await changeLab(labSettings(options), async (lab) => {
        if (what === 'controller') await killController(lab)
        else if (isOfCluster(what)) await killPart(lab, what)
        else if (what === 'names') await killNameServer(lab)
        else if (options.agent) await killHostAgent(lab, what, { forGood: true })
        else await killHost(lab, what)
      })
      const again = `\`sluice lab boot ${what}${options.agent ? ' --agent' : ''}\``
      console.log(`${options.agent ? `the agent of ${what}` : what} is off; ${again} starts it from its disk alone`)
    })
}

function boot(): Command {
  return new Command('boot')
    .description("power a host on; or start the controller, the name server, or a host's agent")
    .argument('<what>', 'host-1, host-2, …, controller or names; of a cluster controller-1, node-1, …')
    .option('--agent', "only the host's agent", false)
    .action(async (what: string, options: PowerOptions) => {
      const wasOff = await changeLab(labSettings(options), async (lab) => {
        if (what === 'controller') return await bootController(lab)
        if (isOfCluster(what)) return bootPart(lab, what)
        if (what === 'names') return await bootNameServer(lab)
        if (!options.agent) return await bootHostAgain(lab, what)
        await killHostAgent(lab, what, { forGood: true })
        await startHostAgent(lab, what)
        return true
      })
      console.log(wasOff ? `${what} is on` : `${what} was on; nothing was changed`)
    })
}

const isOfCluster = (what: string) => /^(controller|node)-\d+$/.test(what)
const programOf = (what: string) => (what.startsWith('node-') ? 'node' : 'controller')

async function killPart({ settings, state }: OpenLab, what: string): Promise<void> {
  await killControlProgram(settings, state, findControl(state, what), programOf(what))
}

/** False: it runs. */
const bootPart = ({ settings, state }: OpenLab, what: string) =>
  startControlProgram(settings, state, findControl(state, what), programOf(what))

function printedProgress(): Progress {
  return {
    step: async (title, work) => {
      const begun = performance.now()
      const result = await work()
      console.log(`  ${title.padEnd(40)} ${duration(performance.now() - begun).padStart(8)}`)
      return result
    },
    note: (text) => console.log(`  ${text}`),
  }
}
