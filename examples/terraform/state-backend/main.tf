# A stack of your own, whose state Sluice keeps: locked while somebody applies, encrypted, with its last versions.
# Where and as whom is in the environment, so that no secret is in a file:
#
#   export TF_HTTP_ADDRESS=$SLUICE_ADDR/v1/stacks/dns/state
#   export TF_HTTP_LOCK_ADDRESS=$TF_HTTP_ADDRESS TF_HTTP_UNLOCK_ADDRESS=$TF_HTTP_ADDRESS
#   export TF_HTTP_USERNAME=token TF_HTTP_PASSWORD=$SLUICE_TOKEN
#   tofu init && tofu apply

terraform {
  backend "http" {}
}

variable "zone" {
  type    = string
  default = "sluice.test"
}

resource "terraform_data" "zone" {
  input = var.zone
}

output "zone" {
  value = terraform_data.zone.output
}
