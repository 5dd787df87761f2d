data "sluice_token" "found" {
  name = "deploy"
}
