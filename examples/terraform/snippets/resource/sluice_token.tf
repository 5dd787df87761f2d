variable "token_secret" {
  description = "Chosen by you: long and random."
  type        = string
  sensitive   = true
  ephemeral   = true
}

resource "sluice_token" "deploy" {
  name              = "deploy"
  project_id        = sluice_project.shop.id
  secret_wo         = sha256(var.token_secret)
  secret_wo_version = 1
}
