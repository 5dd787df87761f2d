import { expect, test } from 'bun:test'
import { planClient, planHostDevices, planHostPorts, planMachineLink, planRouter } from './network-plan.ts'

test('the router joins the segments, and the client knows the uplink by it alone', () => {
  expect(planRouter(42)).toContain('address add 198.18.32.1/20 dev uplink')
  expect(planRouter(42)).toContain('link add clients type veth peer name eth0 netns 42')
  expect(planClient().at(-1)).toBe('route add default via 198.18.48.1')
})

test('a host has two NICs with MAC addresses of its own, and no address on the uplink', () => {
  expect(planHostPorts(7, 99)).toEqual([
    'link add up-7 type veth peer name uplink0 address 02:5c:01:00:00:07 netns 99',
    'link set up-7 master uplink up',
    'link add under-7 type veth peer name underlay0 address 02:5c:02:00:00:07 netns 99',
    'link set under-7 master underlay up',
  ])
  expect(planHostDevices(7)).toEqual([
    'link set lo up',
    'link set uplink0 up',
    'address add 198.18.0.7/24 dev underlay0',
    'link set underlay0 up',
  ])
})

test('the machine is handed its link only once the link says whose it is', () => {
  const lines = planMachineLink('mine', 12)
  const alias = lines.findIndex((line) => line.includes('alias sluice-lab/mine'))
  const handover = lines.findIndex((line) => line.endsWith('netns 12'))
  expect(alias).toBeGreaterThanOrEqual(0)
  expect(alias).toBeLessThan(handover)
})
