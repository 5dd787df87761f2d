# Two tenants with the same names and the same addresses: neither meets the other.

terraform {
  required_version = ">= 1.8"
  required_providers {
    sluice = {
      source  = "sluice/sluice"
      version = "~> 0.1"
    }
  }
}

provider "sluice" {}

variable "owners" {
  description = "Who has a project."
  type        = set(string)
  default     = ["jane", "joe"]
}

module "tenant" {
  source   = "./tenant"
  for_each = var.owners

  owner = each.key
}

output "urls" {
  description = "Each owner's own service."
  value       = { for owner, tenant in module.tenant : owner => tenant.url }
}
