// The address of the inbox's module, which stays.
export * from "./inbox/approval_inbox.js";
