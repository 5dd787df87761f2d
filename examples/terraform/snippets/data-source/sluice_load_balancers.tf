data "sluice_load_balancers" "degraded" {
  status = "degraded"
}
