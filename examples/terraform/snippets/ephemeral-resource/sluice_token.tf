# Lasts as long as this run does, and is in no state.
ephemeral "sluice_token" "run" {
  name       = "run"
  project_id = sluice_project.shop.id
}

provider "sluice" {
  alias = "of_shop"
  token = ephemeral.sluice_token.run.token
}
