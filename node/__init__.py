"""The answering side: storage, services, matching, policy, HTTP, jobs and the command line."""
