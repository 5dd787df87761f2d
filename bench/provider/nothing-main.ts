#!/usr/bin/env bun
/** `terraform-provider-nothing`: serves the floor. */

import { serveProvider } from '../../provider/plugin/index.ts'
import { nothingProvider } from './nothing-provider.ts'

const options = { address: 'registry.terraform.io/bench/nothing', version: '0.1.0' }
// Not awaited, so that it can be compiled to bytecode as ours is.
void serveProvider(nothingProvider, options).then((status) => process.exit(status))
