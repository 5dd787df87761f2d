/**
 * Measures the host once a tick: all its instances, networks and machines, itself and the agent, in one pass; and hands the
 * points on. As a room of the loop it only learns from each turn what is there; it plans nothing.
 */

import type { HostInstructions } from '../contract/host-instructions.ts'
import { machineName, networkName, ownPlugins } from '../contract/point-names.ts'
import { type Point, pointIntervalSeconds } from '../contract/points.ts'
import type { WholeAnswer } from '../haproxy/sample-load.ts'
import { readText } from '../health/process-facts.ts'
import { keepalivedFiles } from '../keepalived/keepalived-files.ts'
import { linkName } from '../kernel/names.ts'
import type { ObservedDaemon } from '../operations/operation.ts'
import type { Room, Turn } from '../room.ts'
import { measureHaproxy } from './haproxy-measures.ts'
import { type HostPlace, measureHost } from './host-measures.ts'
import { createInstanceMeter, readWorkerFacts } from './instance-measures.ts'
import { type DeviceCounts, otherEnd, parseDevices } from './kernel-tables.ts'
import { makeMeasure } from './make-measure.ts'
import type { Measure, MeasuredInstance } from './measured-instance.ts'
import { createOwnMeter } from './own-measures.ts'

export interface MetricsRoomOptions {
  readonly host: string
  readonly runFolder: string
  readonly place: HostPlace
  /** What each haproxy has said since the last pass. */
  readonly takeWholeAnswers: () => readonly WholeAnswer[]
  /** Points about points: what was sent and what was refused. */
  readonly measurePoints: () => readonly Measure[]
  readonly unixSeconds: () => number
}

export interface MetricsRoom extends Room {
  /** One pass over everything. */
  measure(): Promise<readonly Point[]>
  onTurn(milliseconds: number): void
}

/** So many instances are measured before anything else may run: the agent's other duties wait for less than 5 ms. */
const instancesAtOnce = 8

export function createMetricsRoom(options: MetricsRoomOptions): MetricsRoom {
  const meter = createInstanceMeter()
  const own = createOwnMeter()
  let turn: Turn | undefined
  let measuringSeconds = 0

  const measureInstances = async (instances: readonly MeasuredInstance[]): Promise<Point[]> => {
    const answers = new Map(options.takeWholeAnswers().map((answer) => [answer.instanceId, answer]))
    const points: Point[] = []
    for (const [index, instance] of instances.entries()) {
      if (index % instancesAtOnce === instancesAtOnce - 1) await Bun.sleep(0)
      const answer = answers.get(instance.ids.instanceId)
      if (answer !== undefined) {
        const measures = measureHaproxy(instance.ids, answer.text, readWorkerFacts)
        points.push(...stamp(measures, options.host, answer.atUnixSeconds))
      }
      points.push(...stamp(meter.measure(instance), options.host, options.unixSeconds()))
    }
    meter.keep(new Set(instances.map(({ ids }) => ids.instanceId)))
    return points
  }

  return {
    name: 'metrics',
    look(next) {
      turn = next
      return Promise.resolve([])
    },
    async measure() {
      const before = process.cpuUsage()
      const at = options.unixSeconds()
      const devices = parseDevices(readText('/proc/self/net/dev') ?? '')
      const measures = [
        ...measureHost(options.place, devices),
        ...(turn === undefined ? [] : measureNetworks(turn.desired, devices)),
        own.measure(measuringSeconds),
        ...options.measurePoints(),
      ]
      const points = stamp(measures, options.host, at)
      points.push(...(await measureInstances(turn === undefined ? [] : listInstances(turn, options.runFolder))))
      const { user, system } = process.cpuUsage(before)
      measuringSeconds = (user + system) / 1e6
      return points
    },
    onTurn: own.onTurn,
  }
}

const stamp = (measures: readonly Measure[], host: string, timeSeconds: number): Point[] =>
  measures.map((measure) => ({ host, timeSeconds, intervalSeconds: pointIntervalSeconds, ...measure }))

/** By their devices in the host's own namespace, which one table shows. */
function measureNetworks(
  { networks, machines }: HostInstructions,
  devices: ReadonlyMap<string, DeviceCounts>,
): Measure[] {
  const bridges = networks.flatMap(({ id, projectId }) => {
    const counts = devices.get(linkName('bridge', id))
    const name = { plugin: ownPlugins.network, pluginInstance: networkName({ projectId, networkId: id }) }
    return counts === undefined ? [] : [makeMeasure({ ...name, typeInstance: 'bridge' }, 'device', { ...counts })]
  })
  const cables = machines.flatMap(({ id, projectId, networkId }) => {
    const counts = devices.get(linkName('machine', id))
    const name = { plugin: ownPlugins.machine, pluginInstance: machineName({ projectId, networkId, machineId: id }) }
    // The host has the other end of the machine's cable.
    return counts === undefined ? [] : [makeMeasure({ ...name, typeInstance: 'cable' }, 'device', otherEnd(counts))]
  })
  return [...bridges, ...cables]
}

function listInstances({ desired, daemons }: Turn, runFolder: string): MeasuredInstance[] {
  const pids = new Map(daemons.map((each) => [daemonKey(each), each.pid]))
  return desired.instances.map(({ id, projectId, loadBalancerId, vips }) => {
    const files = keepalivedFiles(runFolder, id)
    return {
      ids: { projectId, loadBalancerId, instanceId: id },
      haproxyPid: pids.get(daemonKey({ objectId: id, daemon: 'haproxy' })) ?? 0,
      keepalivedPid: pids.get(daemonKey({ objectId: id, daemon: 'keepalived' })) ?? 0,
      keepalivedChildPidFile: files.childPid,
      keepalivedLog: files.log,
      vips: vips.map(({ address }) => address),
    }
  })
}

const daemonKey = ({ objectId, daemon }: Pick<ObservedDaemon, 'objectId' | 'daemon'>) => `${objectId}/${daemon}`
