variable "name" {
  description = "What the names of all resources begin with, so that several deployments share an account."
  type        = string
  default     = "sundog"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "The name has 3 to 20 lower-case letters, digits and single hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "Where it runs, as eu-west-1."
  type        = string
  default     = "eu-west-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is written as eu-west-1 (not a zone as eu-west-1a)."
  }
}


variable "size" {
  description = "small, medium or large: docs/deploy.md says what each has and costs."
  type        = string
  default     = "small"
  validation {
    condition     = contains(["small", "medium", "large"], var.size)
    error_message = "The size is small, medium or large."
  }
}

variable "image" {
  description = "The image of Sundog, with a tag or digest, in a registry that the machines can read."
  type        = string
  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "The image needs a tag other than latest, or a digest, so that all machines run the same."
  }
}


variable "domain" {
  description = "The name that the gateway is reached by; certificate_arn is of it."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "The domain is a full name, as sundog.example.org."
  }
}

variable "gateway_cidrs" {
  description = "Who may reach the gateway on port 443."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  validation {
    condition     = length(var.gateway_cidrs) > 0 && alltrue([for cidr in var.gateway_cidrs : can(cidrnetmask(cidr))])
    error_message = "These are networks of IPv4 as 192.0.2.0/24, one at least."
  }
}

variable "dispatchers" {
  description = "How many dispatchers there are at least and at most; the queue's depth decides between."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 4 }
  validation {
    condition     = var.dispatchers.min >= 1 && var.dispatchers.max >= var.dispatchers.min && var.dispatchers.max <= 200
    error_message = "There must be 1 <= min <= max <= 200 (the queue's depth is seen only while one dispatcher runs)."
  }
}

variable "tasks_per_dispatcher" {
  description = "Waiting spans of images for which one more dispatcher is worth its start; never more wait than there are slots, so that this is less than a dispatcher has."
  type        = number
  default     = 2
  validation {
    condition     = var.tasks_per_dispatcher >= 1
    error_message = "This is at least 1."
  }
}

variable "world_hosts" {
  description = "Machines of one world of ranks for images that are too large for one; 0: there is none."
  type        = number
  default     = 0
  validation {
    condition     = var.world_hosts == 0 || (var.world_hosts >= 2 && var.world_hosts <= 32)
    error_message = "A world over several machines has 2 to 32 of them, or it is left out with 0."
  }
}

variable "spot" {
  description = "Whether dispatchers are machines that may be taken away; what they had in hand is done by others."
  type        = bool
  default     = true
}

variable "retention_days" {
  description = "Days after which jobs and their outputs are removed; uploads that no job used go after two."
  type        = number
  default     = 30
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "Jobs are kept for 1 to 3650 whole days."
  }
}

variable "protect" {
  description = "Whether the bucket and its contents outlive `terraform destroy`."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all resources, beside app, deployment and managed-by."
  type        = map(string)
  default     = {}
}

variable "certificate_arn" {
  description = "The certificate of the domain in AWS Certificate Manager, in the same region."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "This is the ARN of a certificate in AWS Certificate Manager."
  }
}

variable "cidr" {
  description = "The network of the deployment, a /16."
  type        = string
  default     = "10.42.0.0/16"
  validation {
    condition     = can(cidrnetmask(var.cidr)) && endswith(var.cidr, "/16")
    error_message = "The network is one of IPv4 with 16 bits, as 10.42.0.0/16."
  }
}
