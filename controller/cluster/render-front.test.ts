import { expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FrontPlan, renderFrontHaproxy, renderFrontKeepalived } from './render-front.ts'

const plan: FrontPlan = {
  address: '198.18.0.254:7480',
  device: 'underlay0',
  controllers: [1, 2, 3].map((index) => ({ name: `controller-${index}`, listen: `198.18.0.24${index}:7480` })),
  own: 'controller-2',
  monitor: '127.0.0.1:7479',
}
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const expected = /underlay0 .*doesn't exist|Non-existent interface specified|Configuration file is valid/

const texts = [
  ['haproxy', renderFrontHaproxy(plan), 'front-haproxy.golden.cfg', ['haproxy', '-c', '-f']],
  ['keepalived', renderFrontKeepalived(plan), 'front-keepalived.golden.conf', ['keepalived', '-t', '-f']],
] as const
for (const [daemon, text, name, check] of texts) {
  test(`the text for ${daemon} is the golden one, and ${daemon} accepts it`, async () => {
    const golden = join(import.meta.dir, name)
    if (process.env.SLUICE_WRITE_GOLDEN === '1') await Bun.write(golden, text)
    expect(text).toBe(await Bun.file(golden).text())
    const folder = await mkdtemp(join(tmpdir(), 'sluice-front-'))
    await writeFile(join(folder, name), text)
    const checked = Bun.spawnSync([...check, join(folder, name)], { env: { PATH: path } })
    await rm(folder, { recursive: true })
    // There is no device of that name where this runs, of which keepalived complains, and of nothing else.
    const complaints = `${checked.stdout}${checked.stderr}`.split('\n').filter((line) => !expected.test(line))
    expect(complaints.filter((line) => line !== '')).toEqual([])
  })
}
