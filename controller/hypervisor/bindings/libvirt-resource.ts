/** What the generated bindings of the libvirt provider are made of, and the provider's own block in a stack. */

import * as cdktf from 'cdktf'
import type { Construct } from 'constructs'

/** As both programs look it up; OpenTofu has no provider of that name in another registry. */
export const libvirtSource = 'registry.opentofu.org/dmacvicar/libvirt'
export const libvirtVersion = '0.8.3'

export abstract class LibvirtResource extends cdktf.TerraformResource {
  /** A reference to the id that the resource will have. */
  get id(): string {
    return this.getStringAttribute('id')
  }
}

export class LibvirtProvider extends cdktf.TerraformProvider {
  readonly #uri: string

  constructor(scope: Construct, id: string, { uri }: { readonly uri: string }) {
    super(scope, id, {
      terraformResourceType: 'libvirt',
      terraformGeneratorMetadata: { providerName: 'libvirt', providerVersion: libvirtVersion },
      terraformProviderSource: libvirtSource,
    })
    this.#uri = uri
  }

  protected override synthesizeAttributes(): Record<string, unknown> {
    return { uri: this.#uri }
  }
}
