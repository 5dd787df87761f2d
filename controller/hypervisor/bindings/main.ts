#!/usr/bin/env bun
/** `scripts/generate-libvirt`: writes the bindings from the schema that comes in by standard input. */

import { libvirtSource, libvirtVersion } from './libvirt-resource.ts'
import { renderBindings } from './render-bindings.ts'

/** Networks are not among them: the provider replaces one on any edit, which cuts its guests off. */
const resources = ['libvirt_pool', 'libvirt_volume', 'libvirt_cloudinit_disk', 'libvirt_domain']
const schemas: unknown = await Bun.stdin.json()
process.stdout.write(renderBindings(schemas, { source: libvirtSource, version: libvirtVersion, resources }))
