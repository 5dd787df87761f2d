/**
 * What it takes to bring a libvirt host from nothing to 1, 10 and 50 machines: our sync (observe, synthesize, plan, judge,
 * apply, its state in the controller) against OpenTofu on the same stack written by hand, its state in a file. Both take
 * turns on one libvirtd of the bench's own; the guests run and have nothing to run.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DesiredDomain } from '../controller/hypervisor/desired-domain.ts'
import { renderDomainXslt } from '../controller/hypervisor/stack/domain-xslt.ts'
import { type LabHypervisor, startHypervisor, tinyDomain } from '../test/lab/hypervisor-ground.ts'
import { type LabSync, mirrorFolder, openLabSync } from '../test/lab/hypervisor-sync.ts'
import { type Bench, samplesOf } from './bench.ts'
import { plotLines } from './plot.ts'
import { median } from './statistics.ts'

const timesDefault = 5
const counts = [1, 10, 50]
/** A run of the bench that is shortened has no time for fifty. */
const shortCounts = [1, 10]
const ratioAimed = 1.1

export const stackSync: Bench = {
  summary: 'synth, plan and apply of 1, 10 and 50 machines on a host, against tofu on a stack written by hand',

  async run({ options, cleanup, tell }) {
    const times = options.times ?? timesDefault
    const wanted = times < 3 ? shortCounts : counts
    Bun.spawnSync(['ip', 'link', 'add', 'br0', 'type', 'bridge'])
    const host = await startHypervisor('bench')
    cleanup.defer('libvirtd', () => host.close())
    const lab = openLabSync()
    cleanup.defer('states', () => lab.close())
    const byHand = await openByHand(host)
    cleanup.defer('the stack by hand', async () => rmSync(byHand.folder, { recursive: true, force: true }))
    const samples = new Map<string, number[]>()
    const note = (name: string, milliseconds: number) => samples.set(name, [...(samples.get(name) ?? []), milliseconds])
    // Makes the folder ready, as it is ever after.
    await ours(lab, host, [])
    await leave(lab, host)
    for (const count of wanted) {
      const machines = Array.from({ length: count }, (_, i) => machineOf(host, i))
      for (let turn = 0; turn < times; turn++) {
        note(nameOf('sync', count), await ours(lab, host, machines))
        note(nameOf('a sync without a change', count), await ours(lab, host, machines))
        await leave(lab, host, machines)
        note(nameOf('tofu by hand', count), await byHand.apply(machines))
        note(nameOf('tofu by hand without a change', count), await byHand.apply(machines))
        await byHand.destroy()
        tell(`${count} machines: ${turn + 1}/${times}`)
      }
    }
    const p50 = (name: string, count: number) => median(samples.get(nameOf(name, count)) ?? [])
    const ratios = wanted.flatMap((count) => [
      { name: `sync to tofu by hand, ${count} machines`, value: p50('sync', count) / p50('tofu by hand', count) },
      {
        name: `without a change, ${count} machines`,
        value: p50('a sync without a change', count) / p50('tofu by hand without a change', count),
      },
    ])
    return {
      title: 'A libvirt host brought to what is desired',
      settings: { times, counts: wanted, guest: '1 vCPU, 32 MiB, an empty disk', domainType: 'qemu' },
      series: [...samples].map(([name, all]) => ({ name, unit: 'ms', samples: all, isFloor: name.startsWith('tofu') })),
      ratios,
      aims: ratios
        .filter(({ name }) => name.startsWith('sync'))
        .map(({ name, value }) => ({
          aim: `${name}: at most ${ratioAimed}`,
          measured: value,
          unit: '×',
          met: value <= ratioAimed,
        })),
      notes: [
        'A sync without a change is one whose refresh is due; between refreshes no program is started.',
        ...(times < timesDefault ? [`Shortened: ${times} times.`] : []),
      ],
    }
  },

  plot: (result) =>
    plotLines({
      title: 'From nothing to so many machines',
      subtitle: result.title,
      xLabel: 'machines',
      panels: [
        {
          title: 'Median of a sync, and of the same by hand',
          unit: 'ms',
          series: ['sync', 'tofu by hand'].map((label) => ({
            label,
            isFloor: label !== 'sync',
            points: counts.flatMap((count) => {
              const all = samplesOf(result, nameOf(label, count))
              return all.length === 0 ? [] : [{ x: count, y: median(all) }]
            }),
          })),
        },
      ],
    }),
}

const nameOf = (name: string, count: number) => `${name}, ${count} machines`

function machineOf(host: LabHypervisor, index: number): DesiredDomain {
  const number = String(index).padStart(2, '0')
  return {
    ...tinyDomain(host.folder, '0'),
    id: `mch_${number.padStart(25, '0')}`,
    name: `machine ${number}`,
    interfaces: [{ mac: `52:54:00:00:01:${index.toString(16).padStart(2, '0')}`, bridge: 'br0' }],
    consoleLogPath: join(host.folder, 'log', `${number}.log`),
  }
}

async function ours(lab: LabSync, host: LabHypervisor, machines: readonly DesiredDomain[]): Promise<number> {
  const beganAt = performance.now()
  const outcome = await lab.sync(host.desire(machines))
  const milliseconds = performance.now() - beganAt
  if (outcome.kind !== 'converged') throw new Error(`the sync did not converge: ${JSON.stringify(outcome)}`)
  return milliseconds
}

async function leave(lab: LabSync, host: LabHypervisor, machines: readonly DesiredDomain[] = []): Promise<void> {
  const left = await lab.sync(host.desire([], { removedIds: machines.map(({ id }) => id), isLeaving: true }))
  if (left.kind !== 'converged') throw new Error(`what was made could not be given up: ${JSON.stringify(left)}`)
}

interface ByHand {
  readonly folder: string
  apply(machines: readonly DesiredDomain[]): Promise<number>
  destroy(): Promise<void>
}

/** What somebody who knows the provider well does at a shell: the same stack in HCL, planned and applied. */
async function openByHand(host: LabHypervisor): Promise<ByHand> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-by-hand-'))
  mkdirSync(folder, { recursive: true })
  const settings = join(folder, 'cli.tfrc')
  writeFileSync(settings, `provider_installation {\n  filesystem_mirror { path = "${mirrorFolder}" }\n}\n`)
  const tofu = async (...argv: string[]) => {
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      TF_CLI_CONFIG_FILE: settings,
      CHECKPOINT_DISABLE: '1',
      TF_IN_AUTOMATION: '1',
    }
    const child = Bun.spawn(['tofu', ...argv], { cwd: folder, env, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
    const errors = await new Response(child.stderr).text()
    if ((await child.exited) !== 0) throw new Error(`tofu ${argv.join(' ')}: ${errors}`)
  }
  writeFileSync(join(folder, 'main.tf'), renderByHand(host, []))
  await tofu('init', '-input=false')
  return {
    folder,
    async apply(machines) {
      writeFileSync(join(folder, 'main.tf'), renderByHand(host, machines))
      const beganAt = performance.now()
      await tofu('plan', '-input=false', '-out=plan')
      await tofu('apply', '-input=false', 'plan')
      return performance.now() - beganAt
    },
    destroy: () => tofu('destroy', '-auto-approve', '-input=false'),
  }
}

const renderByHand = ({ uri, folder }: LabHypervisor, machines: readonly DesiredDomain[]) =>
  [
    `terraform {
  required_providers {
    libvirt = {
      source  = "registry.opentofu.org/dmacvicar/libvirt"
      version = "0.8.3"
    }
  }
}
provider "libvirt" {
  uri = "${uri}"
}
resource "libvirt_pool" "sluice" {
  name = "sluice"
  type = "dir"
  target {
    path = "${join(folder, 'pool')}"
  }
}`,
    ...machines.map(
      (machine) => `resource "libvirt_volume" "${machine.id}" {
  name   = "${machine.id}.qcow2"
  pool   = libvirt_pool.sluice.name
  format = "qcow2"
  size   = ${8 * 1024 * 1024}
}
resource "libvirt_domain" "${machine.id}" {
  name      = "${machine.id}"
  type      = "qemu"
  machine   = "q35"
  vcpu      = 1
  memory    = ${machine.memoryMiB}
  autostart = true
  boot_device {
    dev = ["hd"]
  }
  disk {
    volume_id = libvirt_volume.${machine.id}.id
  }
  network_interface {
    bridge = "br0"
    mac    = "${machine.interfaces[0]?.mac.toUpperCase()}"
  }
  xml {
    xslt = <<-XSLT
    ${renderDomainXslt(machine)}
    XSLT
  }
}`,
    ),
  ].join('\n')
