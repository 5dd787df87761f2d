terraform {
  required_providers {
    sluice = {
      source  = "sluice/sluice"
      version = "~> 0.1"
    }
  }
}

# Where the controller is and who asks: SLUICE_ADDR and SLUICE_TOKEN.
provider "sluice" {}
